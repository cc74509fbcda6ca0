/** Adds a line to a list, and shows it. */
export function add(feed, textContent, className = '') {
  feed.append(Object.assign(document.createElement('li'), { textContent, className }))
  feed.scrollTop = feed.scrollHeight
}

export function showState(element, name, text = name) {
  element.dataset.state = name
  element.textContent = text
}

/** Posts JSON, and returns the answer; throws the message of a refusal. */
export async function post(path, body) {
  const response = await fetch(path, {
    method: 'POST',
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  })
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.message)
  return answer
}
