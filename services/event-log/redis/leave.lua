-- Ends the caller's tail.

dropTail(callerTail)
save()
return answer()
