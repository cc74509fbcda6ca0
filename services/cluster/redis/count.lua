-- 2 JSON: targets, each a list of channels · 3 JSON: for each the users whose streams do not count; or empty
-- Returns for each the number of streams of the other nodes that listen to one of its channels.

local targets, answer = cjson.decode(ARGV[2]), {}
local except = ARGV[3] ~= '' and cjson.decode(ARGV[3])
for at = 1, #targets do answer[at] = 0 end
for _, node in ipairs(others()) do
  local counts = countsOf(node)
  local sizes = call('HMGET', counts, 'streams', 'everyone')
  local streams, everyone = tonumber(sizes[1] or 0), tonumber(sizes[2] or 0)
  local following = streams - everyone
  -- The number of a user's streams that listen to the user's channel.
  local countOf = function(name)
    local count = call('ZCARD', streamsOf(node, name))
    return following > 0 and count - tonumber(call('HGET', counts, 'f:' .. name) or 0) or count
  end
  -- The number of a user's streams that listen to each topic.
  local known = {}
  local topicsOf = function(name)
    if known[name] then return known[name] end
    local found = {}
    for _, text in ipairs(call('ZRANGE', streamsOf(node, name), 0, -1)) do
      local topics = string.match(text, '^%S+ (.*)$')
      for _, topic in ipairs(topics and cjson.decode(topics) or {}) do found[topic] = (found[topic] or 0) + 1 end
    end
    known[name] = found
    return found
  end
  for at, channels in ipairs(targets) do
    local ofUsers, ofTopics, ofAll = 0, 0, nil
    local excepted = except and except[at] or {}
    for _, channel in ipairs(channels) do
      local kind, name = string.sub(channel, 1, 2), string.sub(channel, 3)
      if kind == 'u:' then
        ofUsers = ofUsers + countOf(name)
        for _, user in ipairs(excepted) do
          if user == name then ofUsers = ofUsers - countOf(name) end
        end
      elseif kind == 't:' then
        ofTopics = ofTopics + tonumber(call('HGET', counts, channel) or 0)
        for _, user in ipairs(excepted) do ofTopics = ofTopics - (topicsOf(user)[name] or 0) end
      else
        ofAll = everyone
        for _, user in ipairs(excepted) do ofAll = ofAll - countOf(user) end
      end
    end
    -- Streams that do not listen to everyone only follow topics.
    if ofAll then
      answer[at] = answer[at] + ofAll + math.min(math.max(0, ofTopics), following)
    else
      answer[at] = answer[at] + math.min(math.max(0, ofUsers + ofTopics), streams)
    end
  end
end
return answer
