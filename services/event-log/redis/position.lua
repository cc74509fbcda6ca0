-- Returns the positions of the log and of the caller's tail, which is alive.
--
-- ARGV: 4 the number of the tail's newest entry that the caller has read, or ''

-- How long a silent node keeps its tail, in milliseconds by the server's clock.
local LEASE = 60000

local time = call('TIME')
local current = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local own = tailWith(callerTail)
if own then own.seen = current end
-- A server without free memory refuses the first write of a script; the positions can still be read.
if own and ARGV[4] ~= '' and type(redis.pcall('HSET', TAILS, callerTail, rowOf(own))) == 'number' then
  local at = tonumber(ARGV[4])
  -- Entries beyond the end of the tail were written by another program, and would hide the next ones.
  local newest = call('XREVRANGE', tailOf(callerTail), '+', '-', 'COUNT', 1)[1]
  if newest and newest[1] ~= int(own.pos) .. '-0' and tonumber(string.match(newest[1], '^%d+')) >= own.pos then
    call('DEL', tailOf(callerTail))
    keep(callerTail, 0)
  elseif at <= own.pos then acknowledge(callerTail, at) end
  for id in string.gmatch(nodes, '%w+') do
    local tail = tailWith(id)
    if not tail or tail.seen + LEASE < current then dropTail(id) end
  end
  sweepInterests()
end
save()
return answer()
