//! One call: authorised, bounded in time, repeated where that is safe.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Response, Status, transport::Channel};

use crate::{
    Client, Error, Notice,
    retry::{self, Next, Repeat},
};

/// Largest message accepted; streams page, so this is only met by one huge manifest.
pub(crate) const MAX_MESSAGE: usize = 64 << 20;

impl Client {
    /// Makes a call with `send`, on whichever server answers.
    pub(crate) async fn call<Req, Resp, F, Fut>(
        &self,
        repeat: Repeat,
        message: &Req,
        send: F,
    ) -> Result<Resp, Error>
    where
        Req: Clone,
        F: Fn(Channel, Request<Req>) -> Fut,
        Fut: Future<Output = Result<Response<Resp>, Status>>,
    {
        let attempts = self.attempts(repeat, message, send);
        match self.inner.timeout {
            None => attempts.await,
            Some(after) => {
                tokio::time::timeout(after, attempts).await.unwrap_or(Err(Error::Timeout { after }))
            }
        }
    }

    async fn attempts<Req, Resp, F, Fut>(
        &self,
        repeat: Repeat,
        message: &Req,
        send: F,
    ) -> Result<Resp, Error>
    where
        Req: Clone,
        F: Fn(Channel, Request<Req>) -> Fut,
        Fut: Future<Output = Result<Response<Resp>, Status>>,
    {
        let begun = Instant::now();
        let (mut elections, mut lost) = (0, 0);
        loop {
            let error = match self.once(message, &send).await {
                Ok(answer) => return Ok(answer),
                Err(e) => e,
            };
            let next = retry::after(&error, repeat);
            tracing::debug!(%error, ?next, "call failed");
            match next {
                Next::GiveUp => return Err(error),
                Next::OtherServer => {
                    lost += 1;
                    self.inner.hang_up().await;
                    self.inner.skip(error, lost)?;
                }
                Next::Wait => {
                    let pause = retry::pause(elections);
                    if left(begun, self.inner.retry_for) < pause {
                        return Err(error);
                    }
                    if elections == 0 {
                        self.inner.notify(Notice::NoLeader);
                    }
                    elections += 1;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Makes a call whose message exists once, on the first server that can be reached. Not repeated.
    pub(crate) async fn call_once<Req, Resp, F, Fut>(
        &self,
        message: Req,
        send: F,
    ) -> Result<Resp, Error>
    where
        F: FnOnce(Channel, Request<Req>) -> Fut,
        Fut: Future<Output = Result<Response<Resp>, Status>>,
    {
        self.reach().await?;
        let channel = self.inner.channel().await?;
        Ok(send(channel, self.authorized(message)).await?.into_inner())
    }

    fn authorized<Req>(&self, message: Req) -> Request<Req> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.inner.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }

    async fn once<Req, Resp, F, Fut>(&self, message: &Req, send: &F) -> Result<Resp, Error>
    where
        Req: Clone,
        F: Fn(Channel, Request<Req>) -> Fut,
        Fut: Future<Output = Result<Response<Resp>, Status>>,
    {
        let channel = self.inner.channel().await?;
        Ok(send(channel, self.authorized(message.clone())).await?.into_inner())
    }
}

fn left(begun: Instant, limit: Duration) -> Duration {
    limit.saturating_sub(begun.elapsed())
}

/// A fresh request id: the cluster carries out only the first of several requests with one id.
pub(crate) fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
