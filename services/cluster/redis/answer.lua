-- 2 the message

send(ARGV[2])
