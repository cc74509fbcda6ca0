-- Deletes all tickets of a user. Returns how many were valid.
--
-- ARGV: 1 user

expire(1000)
local members = call('ZRANGE', ofUser(ARGV[1]), 0, -1)
for _, member in ipairs(members) do delete(member) end
return #members
