-- The events of some channels from a place on, each once.
--
-- ARGV: 4 'cursor', 'oldest', 'head' or 'last' · 5 the cursor's number, or how many · 6 the cursor's witness
-- 7 at most so many events · 8… the channels

local asked, number, told = ARGV[4], tonumber(ARGV[5]), ARGV[6]
local limit = tonumber(ARGV[7])
-- A page holds no more text than this, so that no reader keeps the others waiting for long.
local PAGE_BYTES = 4194304
local LAST_MOST = 20000
local SLICE = 1000

expire(5000)

local after, gap = 0, ''
if asked == 'head' then
  after = head
elseif asked == 'cursor' then
  local known = witness
  if number ~= head then
    known = nil
    if number > 0 and number < head and number > head - RING then
      local own = call('GETRANGE', WITNESSES, (number % RING) * WITNESS, (number % RING) * WITNESS + WITNESS - 1)
      if string.find(own, '^%w+$') then known = life .. own end
    end
  end
  if string.sub(told, 1, 8) ~= life then gap = 'reset'
  elseif number > head or (known and known ~= told) then gap = 'diverged'
  else after = number end
end

local evicted, histories = 0, {}
for index = 8, #ARGV do
  local channel = ARGV[index]
  evicted = math.max(evicted, evictedFrom(channel))
  if call('EXISTS', historyOf(channel)) == 1 then histories[#histories + 1] = channel end
end

-- The numbers of all these histories that a range command gives, each once, with the members.
local collect = function(range)
  local seqs, members = {}, {}
  for _, channel in ipairs(histories) do
    for _, member in ipairs(range(historyOf(channel))) do
      local seq = tonumber(string.match(member, '^%d+'))
      if not members[seq] then
        members[seq] = member
        seqs[#seqs + 1] = seq
      end
    end
  end
  table.sort(seqs)
  return seqs, members
end

if asked == 'last' then
  local most = math.min(number, LAST_MOST)
  local seqs = collect(function(history) return call('ZREVRANGE', history, 0, most - 1) end)
  if #seqs >= most then after = seqs[#seqs - most + 1] - 1 end
end

local reply, remaining, size
local last, lastOwn = head, string.sub(witness, 9)
repeat
  local isWhole = true
  reply, remaining, size = {}, 0, 0
  local bound = '(' .. int(after)
  local seqs, members = collect(function(history)
    return call('ZRANGEBYSCORE', history, bound, '+inf', 'LIMIT', 0, limit)
  end)
  local count = math.min(#seqs, limit)
  local at = 0
  while at < count and size < PAGE_BYTES do
    local names = {}
    for index = at + 1, math.min(at + SLICE, count) do names[#names + 1] = int(seqs[index]) end
    local values = call('HMGET', EVENTS, unpack(names))
    for index, value in ipairs(values) do
      if size >= PAGE_BYTES then break end
      at = at + 1
      local own, exp = string.match(value or '', '^(%w+) %d+ (%-?%d+)\n')
      if exp then
        last, lastOwn = seqs[at], own
        -- What has outlived itself is not given, though there was no time yet to clear it away.
        if tonumber(exp) < 0 or tonumber(exp) > now then
          reply[#reply + 1] = names[index]
          reply[#reply + 1] = value
        end
        size = size + #value
      else
        -- Somebody else has taken it: that is a hole like any other.
        isWhole = false
        for _, channel in ipairs(histories) do
          if call('ZREM', historyOf(channel), members[seqs[at]]) == 1 then
            noteEvicted(channel, math.max(evictedFrom(channel), seqs[at]))
            evicted = math.max(evicted, seqs[at])
            taken(channel, ENTRY)
          end
        end
      end
    end
  end
  if at > 0 and (at < #seqs or count == limit) then
    local rest = '(' .. int(seqs[at])
    for _, channel in ipairs(histories) do remaining = remaining + call('ZCOUNT', historyOf(channel), rest, '+inf') end
  end
until isWhole

if gap == '' and asked == 'cursor' and evicted > after then gap = 'evicted' end
save()
local page = answer()
if remaining == 0 then last, lastOwn = head, string.sub(witness, 9) end
for _, value in ipairs({ gap, evicted, remaining, last, life .. lastOwn }) do page[#page + 1] = value end
for _, value in ipairs(reply) do page[#page + 1] = value end
return page
