// The hub of Mercure behind the HTTP server of Go: the program of Mercure itself adds Caddy, or a log line for each request.
// It is built to be measured, and is not distributed: Mercure has the licence AGPL-3.0.
package main

import (
	"log"
	"net/http"
	"os"
	"time"

	"github.com/dunglas/mercure"
	"go.uber.org/zap"
)

func main() {
	logging := zap.NewProductionConfig()
	logging.Level = zap.NewAtomicLevelAt(zap.ErrorLevel)
	logger, err := logging.Build()
	if err != nil {
		log.Fatal(err)
	}
	hub, err := mercure.NewHub(
		mercure.WithLogger(logger),
		mercure.WithAnonymous(),
		mercure.WithPublisherJWT([]byte(os.Getenv("MERCURE_KEY")), "HS256"),
		// No history: events go from memory to the streams, and are not written to a file.
		mercure.WithTransport(mercure.NewLocalTransport()),
		mercure.WithHeartbeat(15*time.Second),
		// Without deadlines: they are set around each write, and no stream of the bench needs them.
		mercure.WithDispatchTimeout(0),
		mercure.WithWriteTimeout(0),
	)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), hub))
}
