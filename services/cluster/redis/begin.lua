-- 2 how long the lease is, in ms
-- The node begins to write down what it has, under a name that does not count yet. Returns where to begin to listen.

local last = call('XREVRANGE', SAID, '+', '-', 'COUNT', 1)[1]
call('ZADD', JOINING, now + tonumber(ARGV[2]) + 10000, ME)
return last and last[1] or '0-0'
