-- 2 the role · 3 the lease in ms, or 0 to give the role up
-- Takes or keeps the role, unless another node has it. Returns whether the calling node has it.

local role = roleKey(ARGV[2])
local holder = call('GET', role)
if holder and holder ~= ME then return 0 end
if ARGV[3] == '0' then
  call('DEL', role)
  return 0
end
call('SET', role, ME, 'PX', ARGV[3])
return 1
