/** 中文：页面与代码的全部文字。 */

const what = (code, message) => [code, message].filter(Boolean).join('：')

const GAPS = {
  evicted: '早于中心保留的范围',
  reset: '中心已开始新的历史',
  unknown: '中心不认识该流带来的位置',
  diverged: '中心丢失了最新的历史后继续运行'
}

const CLOSED = {
  client: '由客户端关闭',
  slow: '接收过慢',
  replaced: '被新的流取代',
  limit: '超过上限',
  expired: '已过期',
  kicked: '被移出',
  finished: '已完成',
  failed: '已失败',
  shutdown: '中心正在关闭',
  error: '中心出错'
}

export const zh = {
  skip: '跳到事件流',
  tagline: '基于 Server-Sent Events 的通知中心',
  'hub.label': '中心状态',
  'hub.asking': '查询中…',
  'hub.users': '位用户在线',
  'hub.streams': '条流已打开',
  'hub.up': '中心运行中',
  'hub.down': '无法连接中心',
  'hub.refuses': '中心拒绝访问',

  'nav.label': '页面各部分',
  'nav.open': '打开',
  'nav.send': '发送',
  'nav.people': '在线',
  'nav.streams': '事件流',

  'key.title': '此中心已上锁',
  'key.label': 'API 密钥或令牌',
  'key.unlock': '解锁',
  'key.hint':
    '具有 publish、read、close 和 ticket 权限的密钥可使用本页全部功能；用户令牌可打开该用户自己的流。密钥只保存在本页，离开即忘。',

  'open.title': '打开事件流',
  'open.user': '以该用户打开',
  'open.topics': '主题，以逗号分隔',
  'open.replay': '起始位置',
  'open.replay.none': '仅接收新事件',
  'open.replay.oldest': '从保留的最早事件开始',
  'open.replay.last': '最近若干个事件',
  'open.replay.count': '历史事件数量',
  'open.start': '开始',

  'names.summary': '事件名称',
  'names.label': '同时监听的事件名称',
  'names.hint': '浏览器的 EventSource 只能听到事先登记的名称。本页监听以下名称，并自动监听从本页发出的所有名称：',

  'send.title': '发送事件',
  'send.to': '发送给',
  'send.to.user': '单个用户',
  'send.to.topic': '某个主题',
  'send.to.everyone': '所有人',
  'send.user': '发送给用户',
  'send.topic': '发送到主题',
  'send.event': '事件名称',
  'send.data': '数据',
  'send.kind.json': 'JSON',
  'send.kind.text': '文本',
  'send.kind.broken': '不是有效的 JSON，将作为文本发送',
  'send.more': '更多选项',
  'send.ttl': '有效期（毫秒）',
  'send.ttl.hint': '过期后不再回放。',
  'send.collapse': '合并键',
  'send.collapse.hint': '同一个键只回放最新的事件。',
  'send.transient': '瞬时事件：只发给当前打开的流，不保留',
  'send.send': '发送',
  'send.sent': ({ n }) => `已接受，送往 ${n} 条打开的流。`,
  'send.sent.transient': ({ n }) => `已接受，送往 ${n} 条打开的流；不保留。`,
  'send.kept.user': '该用户不在线。事件已保留，上线后回放。',
  'send.kept': '目前没有人监听。事件已保留在历史中。',
  'send.lost': '目前没有人监听，瞬时事件不会保留。',

  'people.title': '在线用户',
  'people.none': '还没有人在线，请先打开一条流。',
  'people.streams': ({ n }) => `${n} 条流`,
  'people.close': ({ user }) => `永久关闭 ${user} 的流`,
  'people.more': ({ n, next }) => (n > 0 ? `另有 ${n} 位${next ? '以上' : ''}用户` : '以及更多用户'),
  'close.user': '关闭该用户的所有流',
  'close.close': '永久关闭',
  'close.closed': ({ n, user }) => `已永久关闭 ${user} 的 ${n} 条流。`,

  'task.title': '跟踪任务直到完成',
  'task.steps': '步数，约每秒一步',
  'task.follow': '跟踪任务',
  'task.panel': ({ steps }) => `任务，共 ${steps} 步`,
  'task.progress': '任务进度',
  'task.step': ({ step, steps }) => `第 ${step} 步，共 ${steps} 步`,
  'task.done': ({ steps }) => `已完成，共 ${steps} 步`,

  'streams.title': '事件流',
  'streams.cutall': '全部切断',
  'connections.used': ({ n, most }) => `已用连接 ${n}/${most}`,
  'connections.toomany':
    '使用 HTTP/1.1 时，浏览器对同一主机最多允许六个连接（所有标签页合计）。打开的流已将其占满：新的流以及所有发送都会等待，直到停止其中一条。使用 HTTPS 与 HTTP/2 则没有此限制。',
  'connections.stop': '停止最新的一条流',

  'empty.lead': '亲眼验证中心的每一项承诺',
  'empty.one': '打开几条流：alice 两条（如同两个标签页），bob 一条。',
  'empty.two': '发送给 alice：她的两条流都会收到，bob 不会。',
  'empty.three': '切断一个连接：它会自动恢复，并恰好补回错过的事件。',
  'empty.tour': '打开这三条流',

  'state.connecting': '连接中',
  'state.open': '已打开',
  'state.stale': '无响应',
  'state.reconnecting': '重新连接中',
  'state.stopped': '已停止',
  'state.ended': '已结束',
  'state.gone': '已永久关闭',
  'state.refused': '被拒绝',
  'state.done': '已完成',
  'state.closed': ({ reason }) => `已永久关闭：${CLOSED[reason] ?? reason}`,

  'panel.stream': '流',
  'panel.topics': '主题',
  'panel.asking': '等待欢迎事件',
  'panel.online': ({ users, streams }) => `连接时在线：${users} 位用户，${streams} 条流`,
  'panel.nobeat': '尚无心跳',
  'panel.beat': ({ seconds }) => `${seconds} 秒前`,
  'panel.over': '已结束',
  'panel.cut': '切断连接',
  'panel.stop': '停止',
  'panel.again': '重新开始',
  'panel.remove': '移除此面板',
  'count.received': '已接收',
  'count.replayed': '已回放',
  'count.gaps': '缺口',

  'list.quiet': '还没有事件，发送一个试试。',
  'list.newest': '最新 ↓',
  'list.replayed': '回放',
  'list.gap': '缺口。',
  'list.gap.what': ({ from, oldest, reason }) =>
    `${from ?? '起点'} 之后的部分历史已不存在（${reason}）：${GAPS[reason] ?? ''}。` +
    (oldest ? `仍保留的最早事件是 ${oldest}。` : '没有更早的事件。'),

  'note.opened': ({ replayed }) => (replayed ? `已打开，先回放 ${replayed} 个历史事件。` : '已打开。'),
  'note.again': ({ replayed }) =>
    replayed ? `已恢复，补回 ${replayed} 个错过的事件。` : '已恢复，没有需要回放的事件。',
  'note.lost': '连接已断开，浏览器会自动重新连接。',
  'note.cut': ({ reason }) => `中心切断了该流（${CLOSED[reason] ?? reason}），浏览器会自动重新连接。`,
  'note.closed': ({ reason }) => `中心已永久关闭该流（${CLOSED[reason] ?? reason}）。`,
  'note.finished': '该流已到终点。',
  'note.gone': '中心要求该流不再重新连接。',
  'note.stopped': '你停止了该流。',
  'note.refused': ({ code, message }) => `中心没有接受该流。${what(code, message)}`,
  'note.unheard': ({ n }) => `有 ${n} 个回放事件的名称未被本页监听。`,

  'story.cutting': '正在切断…',
  'story.cut': '连接已切断',
  'story.published': ({ n, of }) => `断开期间已发布 ${n}/${of} 个事件`,
  'story.back.todo': '恢复',
  'story.back.waiting': '已断开，等待重新连接',
  'story.back.now': ({ seconds, n, of }) => `${seconds} 秒后恢复：收到 ${n}/${of}`,
  'story.exact': ({ n, live }) =>
    live ? `回放 ${n} 个，实时 ${live} 个：无遗漏，无重复。` : `回放 ${n} 个：无遗漏，无重复。`,
  'story.gapped': ({ n, live, of }) => `收到 ${n + live}/${of}，中心已告知缺口。`,
  'story.wrong': ({ n, live, of }) => `${of} 个中只有 ${n + live} 个如期返回。`,
  'story.failed': ({ code, message }) => `失败。${what(code, message)}`,

  'error.timeout': '中心在十秒内没有应答。是否在此浏览器中打开了过多的流？',
  'error.unreachable': '无法连接中心。'
}
