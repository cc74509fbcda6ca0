-- Where the log and its tail are now.

-- What lies in the tail beyond its end was put there by somebody else, and would hide what comes.
local newest = call('XREVRANGE', TAIL, '+', '-', 'COUNT', 1)[1]
if newest and newest[1] ~= int(pos) .. '-0' and tonumber(string.match(newest[1], '^%d+')) >= pos then
  call('DEL', TAIL, TAIL_SIZES)
  tailBytes = 0
end
save()
local where = answer()
where[#where + 1] = nonce
return where
