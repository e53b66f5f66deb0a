//! An authz instance's end of a Watch stream.

use portcullis_control_plane::app::App;
use portcullis_proto::revocation::{Entry, Position};
use portcullis_proto::v1;
use portcullis_proto::v1::replica_client::ReplicaClient;
use portcullis_proto::v1::watch_request::Message as Outgoing;
use portcullis_proto::v1::watch_response::Message as Incoming;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::plane::in_time;

pub(crate) struct Instance {
    pub(crate) requests: mpsc::Sender<v1::WatchRequest>,
    pub(crate) responses: Streaming<v1::WatchResponse>,
}

impl Instance {
    /// Opens the stream and says nothing.
    pub(crate) async fn open(mut client: ReplicaClient<Channel>) -> Self {
        let (requests, receiver) = mpsc::channel(1);
        let responses = in_time(client.watch(ReceiverStream::new(receiver))).await.unwrap().into_inner();
        Self { requests, responses }
    }

    /// Opens the stream and says Hello.
    pub(crate) async fn connect(
        client: ReplicaClient<Channel>,
        name: &str,
        position: Option<Position>,
    ) -> Self {
        let instance = Self::open(client).await;
        instance.hello(name, position.map(Into::into)).await;
        instance
    }

    pub(crate) async fn hello(&self, name: &str, position: Option<v1::Position>) {
        self.hello_with(name, position, 60_000).await;
    }

    pub(crate) async fn hello_with(&self, name: &str, position: Option<v1::Position>, max_staleness_ms: u64) {
        self.say(Outgoing::Hello(v1::Hello { instance: name.into(), position, max_staleness_ms })).await;
    }

    pub(crate) async fn applied(&self, sequence: u64) {
        self.say(Outgoing::Applied(v1::Applied { sequence })).await;
    }

    async fn say(&self, message: Outgoing) {
        // Where the stream has ended meanwhile, its end says why.
        let _ = in_time(self.requests.send(v1::WatchRequest { message: Some(message) })).await;
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Incoming {
        let message = in_time(self.responses.message()).await.unwrap();
        message.unwrap().message.unwrap()
    }

    pub(crate) async fn start_over(&mut self) -> Position {
        match self.next().await {
            Incoming::StartOver(start) => start.from.unwrap().try_into().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn catalog(&mut self) -> v1::Catalog {
        match self.next().await {
            Incoming::Catalog(catalog) => catalog,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn entries(&mut self) -> Vec<Entry> {
        match self.next().await {
            Incoming::Entries(entries) => {
                entries.entries.into_iter().map(|entry| entry.try_into().unwrap()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Asks how far the log is, where nothing else is to come.
    pub(crate) async fn heartbeat(&mut self) -> Position {
        self.probe(7).await.head.unwrap().try_into().unwrap()
    }

    pub(crate) async fn probe(&mut self, at_ms: u64) -> v1::Heartbeat {
        self.say(Outgoing::Probe(v1::Probe { at_ms })).await;
        match self.next().await {
            Incoming::Heartbeat(heartbeat) => heartbeat,
            other => panic!("{other:?}"),
        }
    }

    /// Reads until the position is `head`, and gives how many entries came.
    pub(crate) async fn follow(&mut self, mut position: Position, app: &App) -> usize {
        let mut count = 0;
        while position != *app.store.head().borrow() {
            for entry in self.entries().await {
                position = position.after(&entry).unwrap();
                count += 1;
            }
        }
        count
    }

    /// Why the stream ends, whatever comes before.
    pub(crate) async fn end(&mut self) -> Status {
        loop {
            match in_time(self.responses.message()).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ends without a reason"),
                Err(status) => return status,
            }
        }
    }
}
