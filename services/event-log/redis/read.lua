-- Reads the events of some channels from a position on, each once.
--
-- ARGV: 4 'cursor', 'oldest', 'head' or 'last' · 5 the cursor's number, or the number of the last events · 6 the cursor's witness
-- 7 max. number of events · 8… the channels

local start, number, cursorWitness = ARGV[4], tonumber(ARGV[5]), ARGV[6]
local limit = tonumber(ARGV[7])
-- Max. text of a page, so that no reader delays the others for long.
local PAGE_BYTES = 1048576
-- Number of entries that are fetched at a time: at first, and at most.
local MIN_FETCH, MAX_FETCH = 16, 256

expire(500)

local after, gap = 0, ''
if start == 'head' then
  after = head
elseif start == 'cursor' then
  -- A number beyond the ring of witnesses is trusted: comparing it with the entry would reveal whether that is retained.
  local isKnown = number <= head - RING or number == 0 or isOfThisLog(number, string.sub(cursorWitness, 9))
  if string.sub(cursorWitness, 1, 8) ~= epoch then gap = 'reset'
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
    closeChannel(channel)
  end
  evicted = math.max(evicted, evictedFrom(channel))
end

-- Numbers beyond the head come from a call that was rolled back.
local newest = int(head)

-- Returns the numbers of all these histories, each once and in order, of which the first `wanted` after a number are complete;
-- without such a number, the last `wanted`. Fetching page by page costs about as much as the result, even in a long history.
local collect = function(wanted, after)
  local isBackward = after == nil
  local seqs, isFound, readers = {}, {}, {}
  local page = math.max(MIN_FETCH, math.ceil(2 * wanted / math.max(1, #histories)))
  local fetch = function(reader)
    local found
    if isBackward then
      found = call('ZREVRANGEBYSCORE', historyOf(reader.channel), reader.edge, '-inf', 'LIMIT', 0, reader.page)
    else
      found = call('ZRANGEBYSCORE', historyOf(reader.channel), reader.edge, newest, 'LIMIT', 0, reader.page)
    end
    for _, member in ipairs(found) do
      reader.last = tonumber(string.match(member, '^%d+'))
      if not isFound[reader.last] then
        isFound[reader.last] = true
        seqs[#seqs + 1] = reader.last
      end
    end
    reader.isAtEnd = #found < reader.page
    reader.edge = '(' .. int(reader.last)
    reader.page = 2 * reader.page
  end
  for index, channel in ipairs(histories) do
    readers[index] = { channel = channel, edge = isBackward and newest or '(' .. int(after), last = after or head, page = page }
    fetch(readers[index])
  end
  repeat
    table.sort(seqs)
    -- A history that was not fetched up to here may have more numbers before the bound.
    local bound = seqs[isBackward and #seqs - wanted + 1 or wanted]
    local isComplete = true
    for _, reader in ipairs(readers) do
      local isShort = not bound or (isBackward and reader.last > bound) or (not isBackward and reader.last < bound)
      if isShort and not reader.isAtEnd then
        isComplete = false
        fetch(reader)
      end
    end
  until isComplete
  return seqs
end

if start == 'last' then
  local seqs = collect(number)
  if #seqs >= number then after = seqs[#seqs - number + 1] - 1 end
end

local isRequested = function(channels)
  for _, channel in ipairs(histories) do
    if isFiledUnder(channels, channel) then return true end
  end
  return false
end

-- The number of a channel's entries from a number on. Those that have expired and wait to be dropped count, except in inboxes.
local countFrom = function(channel, from)
  local count = call('ZCOUNT', historyOf(channel), from, newest)
  if count == 0 or kindOf(channel) ~= 'inbox' then return count end
  if #call('ZRANGEBYSCORE', TTL, '-inf', now, 'LIMIT', 0, 1) == 0 then return count end
  for _, member in ipairs(call('ZRANGEBYSCORE', historyOf(channel), from, newest)) do
    local exp = call('ZSCORE', TTL, string.match(member, '^%d+'))
    if exp and tonumber(exp) <= now then count = count - 1 end
  end
  return count
end

local reply, remaining, size
local last, lastOwn = head, string.sub(witness, 9)
repeat
  local isWhole = true
  reply, remaining, size = {}, 0, 0
  local seqs = collect(limit, after)
  local count = math.min(#seqs, limit)
  local at, slice = 0, MIN_FETCH
  while at < count and size < PAGE_BYTES do
    local names = {}
    for index = at + 1, math.min(at + slice, count) do names[#names + 1] = int(seqs[index]) end
    local values = call('HMGET', EVENTS, unpack(names))
    if size * 8 < PAGE_BYTES then slice = math.min(2 * slice, MAX_FETCH) end
    for index, value in ipairs(values) do
      if size >= PAGE_BYTES then break end
      at = at + 1
      local channels, _, exp = parse(value or '')
      if channels and isRequested(channels) then
        last, lastOwn = seqs[at], string.match(value, '^%w+')
        -- Expired entries are not returned, even before they are dropped.
        if exp < 0 or exp > now then
          reply[#reply + 1] = names[index]
          reply[#reply + 1] = value
        end
        size = size + #value
      else
        -- The entry is missing, or filed under other channels than those with the position: a hole.
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
    for _, channel in ipairs(histories) do remaining = remaining + countFrom(channel, rest) end
  end
until isWhole

if gap == '' and start == 'cursor' and evicted > after then gap = 'evicted' end
save()
local page = answer()
if remaining == 0 then last, lastOwn = head, string.sub(witness, 9) end
for _, value in ipairs({ gap, evicted, remaining, last, epoch .. lastOwn }) do page[#page + 1] = value end
for _, value in ipairs(reply) do page[#page + 1] = value end
return page
