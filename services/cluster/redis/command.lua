-- 2 the message
-- Sends the message to all nodes, which read it even after an outage, and returns the other live nodes.

send(ARGV[2])
return others()
