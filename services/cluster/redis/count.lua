-- 2 JSON: targets, each a list of channels
-- Returns for each the number of streams of the other nodes that listen to one of its channels.

local targets, answer = cjson.decode(ARGV[2]), {}
for at = 1, #targets do answer[at] = 0 end
for _, node in ipairs(others()) do
  local counts = countsOf(node)
  local sizes = call('HMGET', counts, 'streams', 'everyone')
  local streams, everyone = tonumber(sizes[1] or 0), tonumber(sizes[2] or 0)
  local following = streams - everyone
  for at, channels in ipairs(targets) do
    local ofUsers, ofTopics, isForAll = 0, 0, false
    for _, channel in ipairs(channels) do
      local kind, name = string.sub(channel, 1, 2), string.sub(channel, 3)
      if kind == 'u:' then
        ofUsers = ofUsers + call('ZCARD', streamsOf(node, name))
        if following > 0 then ofUsers = ofUsers - tonumber(call('HGET', counts, 'f:' .. name) or 0) end
      elseif kind == 't:' then
        ofTopics = ofTopics + tonumber(call('HGET', counts, channel) or 0)
      else
        isForAll = true
      end
    end
    -- Streams that do not listen to everyone only follow topics.
    if isForAll then
      answer[at] = answer[at] + everyone + math.min(ofTopics, following)
    else
      answer[at] = answer[at] + math.min(ofUsers + ofTopics, streams)
    end
  end
end
return answer
