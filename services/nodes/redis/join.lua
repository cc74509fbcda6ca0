-- 2 how long the lease is, in ms · 3 under which name the node was known before, or ''
-- Returns where to begin to listen.

-- What it wrote under its old name would be counted beside what it writes now.
if ARGV[3] ~= '' then call('ZADD', NODES, 'XX', 0, ARGV[3]) end
local last = call('XREVRANGE', SAID, '+', '-', 'COUNT', 1)[1]
call('ZADD', NODES, now + tonumber(ARGV[2]), ME)
-- Who thought that he is alone learns that he is not.
say('{"joined":true}')
return last and last[1] or '0-0'
