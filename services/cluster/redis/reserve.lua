-- 2 how many streams a user may have · 3 user · 4 stream · 5 since
-- Returns whether there was room; then the stream is counted in.

local user, total = ARGV[3], 0
for _, node in ipairs(others()) do total = total + call('ZCARD', streamsOf(node, user)) end
local isMember = isLive(ME)
if isMember then total = total + call('ZCARD', streamsOf(ME, user)) end
if total >= tonumber(ARGV[2]) then return 0 end
if isMember then remember(user, ARGV[4], ARGV[5]) end
return 1
