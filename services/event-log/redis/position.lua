-- Returns the positions of the log and its tail.

-- Entries beyond the end of the tail were written by another program, and would hide the next ones.
local newest = call('XREVRANGE', TAIL, '+', '-', 'COUNT', 1)[1]
if newest and newest[1] ~= int(pos) .. '-0' and tonumber(string.match(newest[1], '^%d+')) >= pos then
  call('DEL', TAIL, TAIL_SIZES)
  tailBytes = 0
end
save()
local reply = answer()
reply[#reply + 1] = nonce
return reply
