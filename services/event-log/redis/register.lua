-- Changes the interests of a node. A change names the one before it, so that a node notices when Redis has lost one; the repetition
-- of a change has no effect.
--
-- ARGV: 4 the name of the change before, and of this one · 5 max. bytes of the log · 6 the channels with a new interest, and those
-- whose interest has ended, as JSON
--
-- Returns 1 if the interests are registered, 0 if the tail is gone or has other interests, and -1 if there is no room for them.

-- The part of the log that interests may take.
local MAX_INTEREST = 1 / 8

local own = tailWith(callerTail)
local before, name = string.match(ARGV[4], '^(%w+) (%w+)$')
local outcome = 0
if own and own.registered == name then outcome = 1
elseif own and own.registered == before then
  local added, ended = unpack(cjson.decode(ARGV[6]))
  for _, channel in ipairs(ended) do setInterest(channel, callerTail, false) end
  if #added > 0 and added[1] ~= '*' and interest > tonumber(ARGV[5]) * MAX_INTEREST then outcome = -1
  else
    for _, channel in ipairs(added) do setInterest(channel, callerTail, true) end
    outcome = 1
    own.registered = name
    changed[callerTail] = true
  end
end
save()
local reply = answer()
reply[#reply + 1] = outcome
return reply
