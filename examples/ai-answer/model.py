"""A model in another process and language: publishes its words over HTTP, and reads them back as a page does.

    MODEL_KEY=... python3 model.py 'Why do streams break?'

Needs Python alone. Each word has an idempotency key, so a request that is sent again publishes nothing twice.
"""

import http.client, json, os, sys, time, urllib.error, urllib.parse, urllib.request, uuid

APP = os.environ.get('APP', 'http://127.0.0.1:3000')
KEY = os.environ['MODEL_KEY']


def publish(answer, number, draft, attempts=5):
    url = f'{APP}/hub-api/topics/{urllib.parse.quote(f"answers/{answer}", safe="")}/events'
    headers = {
        'Authorization': f'Bearer {KEY}',
        'Content-Type': 'application/json',
        'Idempotency-Key': f'{answer}/{number}',
    }
    for attempt in range(1, attempts + 1):
        try:
            request = urllib.request.Request(url, json.dumps(draft).encode(), headers)
            with urllib.request.urlopen(request, timeout=10) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503) or attempt == attempts:
                raise
        except (OSError, http.client.HTTPException):
            if attempt == attempts:
                raise
        time.sleep(attempt)


def generate(answer, question):
    number = 0
    try:
        for word in f'Python was asked: {question}'.split(' '):
            number += 1
            publish(answer, number, {'event': 'token', 'data': {'text': f'{word} '}})
            time.sleep(0.1)
        publish(answer, number + 1, {'event': 'done', 'data': '[DONE]', 'final': True})
    except Exception as error:
        publish(answer, number + 1, {'event': 'failure', 'data': {'message': str(error)}, 'fail': True})
        raise


def read(answer):
    """Yields the words of an answer, also over cuts: it returns with the last id that it received."""
    last_id = ''
    while True:
        request = urllib.request.Request(f'{APP}/answers/{answer}', headers={'Last-Event-ID': last_id} if last_id else {})
        try:
            # The hub sends a heartbeat every 15 seconds.
            with urllib.request.urlopen(request, timeout=45) as response:
                if response.status == 204:
                    return
                event = {}
                for line in response:
                    name, _, value = line.decode().rstrip('\n').partition(': ')
                    if name != '':
                        event[name] = value
                        continue
                    last_id = event.get('id', last_id)
                    if event.get('event') == 'token':
                        yield json.loads(event['data'])['text']
                    elif event.get('event') in ('done', 'failure'):
                        return
                    event = {}
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException):
            time.sleep(2)


if __name__ == '__main__':
    answer = str(uuid.uuid4())
    print(f'{APP}/?answer={answer}', flush=True)
    generate(answer, sys.argv[1])
    print(''.join(read(answer)), flush=True)
