-- 2 what to say
-- Says it to the others, also to those who are cut off for now, and returns which of them are alive.

say(ARGV[2])
return others()
