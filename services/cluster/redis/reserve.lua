-- 2 max. streams of a user · 3 user · 4 stream · 5 since
-- Returns 1 and registers the stream if the user has fewer streams, else 0. The user is not online before the stream is opened.

local user, total = ARGV[3], 0
for _, node in ipairs(others()) do total = total + call('ZCARD', streamsOf(node, user)) end
local isMember = isLive(ME)
if isMember then total = total + call('ZCARD', streamsOf(ME, user)) end
if total >= tonumber(ARGV[2]) then return 0 end
if isMember then remember(user, ARGV[4], ARGV[5]) end
return 1
