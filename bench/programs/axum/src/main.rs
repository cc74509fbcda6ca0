// Server-Sent Events as the documentation of axum builds them: a broadcast channel of tokio for everyone, and one for each user.
// No history, no ids to resume from. One thread, because the bench gives each server one core.
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use futures_util::stream::{self, Stream, StreamExt};
use serde_json::Value;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

/// Events that wait for a slow stream at most; a slower one misses some.
const CAPACITY: usize = 1_024;

type Message = Arc<(u64, String)>;

struct Hub {
    everyone: broadcast::Sender<Message>,
    users: Mutex<HashMap<String, broadcast::Sender<Message>>>,
    id: AtomicU64,
}

impl Hub {
    fn message(&self, body: &Value) -> Message {
        let data = match &body["data"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Arc::new((self.id.fetch_add(1, Ordering::Relaxed), data))
    }
}

async fn events(
    State(hub): State<Arc<Hub>>,
    Query(query): Query<HashMap<String, String>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let user = query.get("user").cloned().unwrap_or_default();
    let own = {
        let mut users = hub.users.lock().unwrap();
        users.entry(user).or_insert_with(|| broadcast::channel(64).0).subscribe()
    };
    let first = stream::once(async { Event::default().comment("open") });
    let everyone = BroadcastStream::new(hub.everyone.subscribe());
    let rest = stream::select(everyone, BroadcastStream::new(own)).filter_map(|message| async {
        let message = message.ok()?;
        Some(Event::default().id(message.0.to_string()).data(&message.1))
    });
    let beat = KeepAlive::new().interval(Duration::from_secs(15));
    Sse::new(first.chain(rest).map(Ok)).keep_alive(beat)
}

async fn broadcast(State(hub): State<Arc<Hub>>, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let streams = hub.everyone.send(hub.message(&body)).unwrap_or(0);
    (StatusCode::ACCEPTED, Json(serde_json::json!({ "streams": streams })))
}

async fn send(
    State(hub): State<Arc<Hub>>,
    Path(user): Path<String>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let message = hub.message(&body);
    let streams = match hub.users.lock().unwrap().get(&user) {
        Some(own) => own.send(message).unwrap_or(0),
        None => 0,
    };
    (StatusCode::ACCEPTED, Json(serde_json::json!({ "streams": streams })))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let hub = Arc::new(Hub {
        everyone: broadcast::channel(CAPACITY).0,
        users: Mutex::new(HashMap::new()),
        id: AtomicU64::new(1),
    });
    let app = Router::new()
        .route("/events", get(events))
        .route("/broadcast", post(broadcast))
        .route("/users/{user}/events", post(send))
        .with_state(hub);
    let port = std::env::var("PORT").expect("PORT is set");
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("the port is free");
    let listener = listener.tap_io(|socket| socket.set_nodelay(true).expect("the socket is open"));
    axum::serve(listener, app).await.expect("the server runs");
}
