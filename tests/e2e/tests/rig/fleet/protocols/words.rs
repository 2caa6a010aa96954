//! Conversations: WebSocket and gRPC.

use futures::{SinkExt as _, StreamExt as _};
use hyper::Request;
use jaco_e2e::{
    Outcome,
    talk::{Span, Words, talk_client::TalkClient},
};
use tokio_tungstenite::{client_async, tungstenite::Message};

use super::client::{Sender, Visit};

/// A WebSocket whose messages are answered in turn by one peer, and that is closed in order.
pub(super) async fn socket(visit: &Visit) -> Outcome {
    let url = format!("ws://{}/ws", visit.domain);
    let (mut socket, _) = client_async(url, visit.dial().await?).await?;
    let mut peer = None;
    for words in ["one", "two", &"long ".repeat(40_000)] {
        socket.send(Message::text(words)).await?;
        let answer = socket.next().await.ok_or("closed")??.into_text()?;
        let (host, echo) = answer.split_once(' ').ok_or("no name")?;
        assert!(echo == words, "{visit}: {} bytes for {}", echo.len(), words.len());
        assert_eq!(peer.get_or_insert_with(|| host.to_owned()), host, "{visit}");
    }
    socket.close(None).await?;
    while let Some(message) = socket.next().await {
        assert!(message?.is_close(), "{visit}");
    }
    Ok(())
}

/// The three kinds of calls.
pub(super) async fn grpc(visit: &Visit) -> Outcome {
    let Sender::Http2(sender) = visit.connect().await? else { return Err("not HTTP/2".into()) };
    let service = tower::service_fn(move |request: Request<tonic::body::Body>| {
        use http_body_util::BodyExt as _;
        let mut sender = sender.clone();
        // What a call sends never fails by itself.
        let request = request.map(|body| body.map_err(|e| unreachable!("{e}")).boxed_unsync());
        async move { sender.send_request(request).await }
    });
    let scheme = if visit.root.is_some() { "https" } else { "http" };
    let origin = format!("{scheme}://{}", visit.domain).parse()?;
    let mut client = TalkClient::with_origin(service, origin);

    let answer = client.say(Words { text: "hello".to_owned() }).await?.into_inner();
    assert_eq!(answer.text, "hello", "{visit}");

    let mut numbers = client.count(Span { last: 1000 }).await?.into_inner();
    let mut counted = 0;
    while let Some(number) = numbers.message().await? {
        counted += 1;
        assert_eq!(number.value, counted, "{visit}");
    }
    assert_eq!(counted, 1000, "{visit}");

    // The next is said when the one before was answered: neither direction is held back.
    let (say, words) = tokio::sync::mpsc::channel(1);
    let words = tokio_stream::wrappers::ReceiverStream::new(words);
    let mut answers = client.chat(words).await?.into_inner();
    for text in ["one", "two", "three"] {
        say.send(Words { text: text.to_owned() }).await?;
        let answer = answers.message().await?.ok_or("no answer")?;
        assert_eq!(answer.text, text, "{visit}");
    }
    drop(say);
    assert!(answers.message().await?.is_none(), "{visit}");
    Ok(())
}
