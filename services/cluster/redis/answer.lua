-- 2 what to say

say(ARGV[2])
