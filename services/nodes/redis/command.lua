-- 2 what to say
-- Says it to the others, and returns which of them are alive.

local live = others()
if #live > 0 then say(ARGV[2]) end
return live
