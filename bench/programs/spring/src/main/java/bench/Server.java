package bench;

import java.io.IOException;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;

/** The server of the tutorials: a map of emitters, and a loop over it. No history; a second stream of a user replaces the first. */
@SpringBootApplication
@RestController
public class Server {
  private final Map<String, SseEmitter> emitters = new ConcurrentHashMap<>();
  private final AtomicLong id = new AtomicLong();

  public static void main(String[] args) {
    SpringApplication.run(Server.class, args);
  }

  @GetMapping("/events")
  public SseEmitter events(@RequestParam String user) throws IOException {
    SseEmitter emitter = new SseEmitter(0L);
    emitters.put(user, emitter);
    emitter.onCompletion(() -> emitters.remove(user, emitter));
    emitter.onTimeout(() -> emitters.remove(user, emitter));
    emitter.onError(error -> emitters.remove(user, emitter));
    emitter.send(SseEmitter.event().comment("open"));
    return emitter;
  }

  @PostMapping("/broadcast")
  @ResponseStatus(HttpStatus.ACCEPTED)
  public String broadcast(@RequestBody Map<String, Object> body) {
    for (Map.Entry<String, SseEmitter> each : emitters.entrySet()) send(each.getKey(), each.getValue(), body);
    return answer(emitters.size());
  }

  @PostMapping("/users/{user}/events")
  @ResponseStatus(HttpStatus.ACCEPTED)
  public String send(@PathVariable String user, @RequestBody Map<String, Object> body) {
    SseEmitter emitter = emitters.get(user);
    if (emitter != null) send(user, emitter, body);
    return answer(emitter == null ? 0 : 1);
  }

  /** As text, so that the answer has a length: a map is sent in chunks. */
  private static String answer(int streams) {
    return "{\"streams\":" + streams + "}";
  }

  private void send(String user, SseEmitter emitter, Map<String, Object> body) {
    try {
      emitter.send(SseEmitter.event().id(String.valueOf(id.incrementAndGet())).data(String.valueOf(body.get("data"))));
    } catch (IOException | IllegalStateException error) {
      emitters.remove(user, emitter);
    }
  }
}
