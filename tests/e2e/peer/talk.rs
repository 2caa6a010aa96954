//! The gRPC service.

use std::{pin::Pin, sync::Arc};

use jaco_e2e::talk::{
    Answer, Number, Span, Words,
    talk_server::{Talk, TalkServer},
};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use crate::state::Peer;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

struct Talker(Arc<Peer>);

/// The service of a peer.
pub(crate) fn service(peer: Arc<Peer>) -> TalkServer<impl Talk> {
    TalkServer::new(Talker(peer))
}

#[tonic::async_trait]
impl Talk for Talker {
    type CountStream = Answers<Number>;
    type ChatStream = Answers<Answer>;

    async fn say(&self, words: Request<Words>) -> Result<Response<Answer>, Status> {
        let host = self.0.host.clone();
        Ok(Response::new(Answer { host, text: words.into_inner().text }))
    }

    async fn count(&self, span: Request<Span>) -> Result<Response<Answers<Number>>, Status> {
        let host = self.0.host.clone();
        let numbers = 1..=span.into_inner().last;
        let numbers = numbers.map(move |value| Ok(Number { host: host.clone(), value }));
        Ok(Response::new(Box::pin(tokio_stream::iter(numbers))))
    }

    async fn chat(
        &self,
        words: Request<Streaming<Words>>,
    ) -> Result<Response<Answers<Answer>>, Status> {
        let host = self.0.host.clone();
        let answers = words
            .into_inner()
            .map(move |words| words.map(|words| Answer { host: host.clone(), text: words.text }));
        Ok(Response::new(Box::pin(answers)))
    }
}
