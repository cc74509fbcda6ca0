-- 2 the lease in ms
-- Begins to join, under a name that does not count yet. Returns the id of the last message of the command stream, and the life of
-- the data.

local last = call('XREVRANGE', COMMANDS, '+', '-', 'COUNT', 1)[1]
call('ZADD', JOINING, now + tonumber(ARGV[2]) + 10000, ME)
call('SET', NODES .. ':life', ME, 'NX')
return { last and last[1] or '0-0', call('GET', NODES .. ':life') }
