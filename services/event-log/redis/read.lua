-- The events of some channels from a place on, each once.
--
-- ARGV: 4 'cursor', 'oldest', 'head' or 'last' · 5 the cursor's number, or how many · 6 the cursor's witness
-- 7 at most so many events · 8… the channels

local asked, number, told = ARGV[4], tonumber(ARGV[5]), ARGV[6]
local limit = tonumber(ARGV[7])
-- A page holds no more text than this, so that no reader keeps the others waiting for long.
local PAGE_BYTES = 1048576
-- Entries are fetched so many at a time, at first and at most.
local FEW, MANY = 16, 256

expire(500)

local after, gap = 0, ''
if asked == 'head' then
  after = head
elseif asked == 'cursor' then
  -- What the ring of witnesses has no more is believed, for to compare it with the entry would tell whether that is held.
  local isKnown = number <= head - RING or number == 0 or isOfThisLog(number, string.sub(told, 9))
  if string.sub(told, 1, 8) ~= life then gap = 'reset'
  elseif number > head or not isKnown then gap = 'diverged'
  else after = number end
end

local evicted, histories = loss, {}
for index = 8, #ARGV do
  local channel = ARGV[index]
  if call('EXISTS', historyOf(channel)) == 1 then
    histories[#histories + 1] = channel
  elseif call('ZSCORE', SIZES[kindOf(channel)], channel) then
    historyLost(channel, head)
    emptied(channel)
  end
  evicted = math.max(evicted, evictedFrom(channel))
end

-- A number beyond the head was filed by a call that is lost.
local newest = int(head)

-- The numbers of all these histories, each once and in order, of which the first so many after a number are complete; without
-- such a number, the last so many. They are fetched in pieces: that costs about as much as it returns, however much is held.
local collect = function(wanted, after)
  local isBack = after == nil
  local seqs, isThere, readers = {}, {}, {}
  local piece = math.max(FEW, math.ceil(2 * wanted / math.max(1, #histories)))
  local fetch = function(reader)
    local found
    if isBack then
      found = call('ZREVRANGEBYSCORE', historyOf(reader.channel), reader.edge, '-inf', 'LIMIT', 0, reader.piece)
    else
      found = call('ZRANGEBYSCORE', historyOf(reader.channel), reader.edge, newest, 'LIMIT', 0, reader.piece)
    end
    for _, member in ipairs(found) do
      reader.last = tonumber(string.match(member, '^%d+'))
      if not isThere[reader.last] then
        isThere[reader.last] = true
        seqs[#seqs + 1] = reader.last
      end
    end
    reader.isAtEnd = #found < reader.piece
    reader.edge = '(' .. int(reader.last)
    reader.piece = 2 * reader.piece
  end
  for index, channel in ipairs(histories) do
    readers[index] = { channel = channel, edge = isBack and newest or '(' .. int(after), last = after or head, piece = piece }
    fetch(readers[index])
  end
  repeat
    table.sort(seqs)
    -- A history that was not fetched up to here may have more on this side of it.
    local bound = seqs[isBack and #seqs - wanted + 1 or wanted]
    local isComplete = true
    for _, reader in ipairs(readers) do
      local isShort = not bound or (isBack and reader.last > bound) or (not isBack and reader.last < bound)
      if isShort and not reader.isAtEnd then
        isComplete = false
        fetch(reader)
      end
    end
  until isComplete
  return seqs
end

if asked == 'last' then
  local seqs = collect(number)
  if #seqs >= number then after = seqs[#seqs - number + 1] - 1 end
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
  local seqs = collect(limit, after)
  local count = math.min(#seqs, limit)
  local at, slice = 0, FEW
  while at < count and size < PAGE_BYTES do
    local names = {}
    for index = at + 1, math.min(at + slice, count) do names[#names + 1] = int(seqs[index]) end
    local values = call('HMGET', EVENTS, unpack(names))
    if size * 8 < PAGE_BYTES then slice = math.min(2 * slice, MANY) end
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
