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
  local isKnown = number == 0 or isOfThisLog(number, string.sub(told, 9))
  if string.sub(told, 1, 8) ~= life then gap = 'reset'
  elseif number > head or not isKnown then gap = 'diverged'
  else after = number end
end

local evicted, histories = loss, {}
for index = 8, #ARGV do
  local channel = ARGV[index]
  evicted = math.max(evicted, evictedFrom(channel))
  if call('EXISTS', historyOf(channel)) == 1 then histories[#histories + 1] = channel end
end

-- A number beyond the head was filed by a call that is lost.
local newest = int(head)

-- The numbers of all these histories that a range command gives, each once.
local collect = function(range)
  local seqs, isThere = {}, {}
  for _, channel in ipairs(histories) do
    for _, member in ipairs(range(historyOf(channel))) do
      local seq = tonumber(string.match(member, '^%d+'))
      if not isThere[seq] then
        isThere[seq] = true
        seqs[#seqs + 1] = seq
      end
    end
  end
  table.sort(seqs)
  return seqs
end

if asked == 'last' then
  local most = math.min(number, LAST_MOST)
  local seqs = collect(function(history) return call('ZREVRANGEBYSCORE', history, newest, '-inf', 'LIMIT', 0, most) end)
  if #seqs >= most then after = seqs[#seqs - most + 1] - 1 end
end

local isAsked = function(channels)
  for _, channel in ipairs(histories) do
    if isFiledUnder(channels, channel) then return true end
  end
  return false
end

local reply, remaining, size
local last, lastOwn = head, string.sub(witness, 9)
repeat
  local isWhole = true
  reply, remaining, size = {}, 0, 0
  local bound = '(' .. int(after)
  local seqs = collect(function(history)
    return call('ZRANGEBYSCORE', history, bound, newest, 'LIMIT', 0, limit)
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
      local channels, _, exp = parse(value or '')
      if channels and isAsked(channels) then
        last, lastOwn = seqs[at], string.match(value, '^%w+')
        -- What has outlived itself is not given, though there was no time yet to clear it away.
        if exp < 0 or exp > now then
          reply[#reply + 1] = names[index]
          reply[#reply + 1] = value
        end
        size = size + #value
      else
        -- Somebody else has taken it, or it is for other channels than those that name it: a hole like any other.
        isWhole = false
        for _, channel in ipairs(histories) do
          for _, member in ipairs(call('ZRANGEBYSCORE', historyOf(channel), names[index], names[index])) do
            call('ZREM', historyOf(channel), member)
            hole(channel, member, names[index])
            evicted = math.max(evicted, seqs[at])
          end
        end
      end
    end
  end
  if at > 0 and (at < #seqs or count == limit) then
    local rest = '(' .. int(seqs[at])
    for _, channel in ipairs(histories) do remaining = remaining + call('ZCOUNT', historyOf(channel), rest, newest) end
  end
until isWhole

if gap == '' and asked == 'cursor' and evicted > after then gap = 'evicted' end
save()
local page = answer()
if remaining == 0 then last, lastOwn = head, string.sub(witness, 9) end
for _, value in ipairs({ gap, evicted, remaining, last, life .. lastOwn }) do page[#page + 1] = value end
for _, value in ipairs(reply) do page[#page + 1] = value end
return page
