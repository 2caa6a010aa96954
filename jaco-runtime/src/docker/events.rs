//! Events of the engine.

use std::{collections::HashMap, time::SystemTime};

use bollard::{models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures::StreamExt;
use jaco_api::model::{Health, Timestamp};

use super::{DockerRuntime, containers::label_filter, error};
use crate::container::{EngineEvent, EventAction, EventStream, Labels, RuntimeError};

/// Of all actions only these: every run of a health check alone has three others.
const ACTIONS: [&str; 9] =
    ["create", "start", "die", "oom", "destroy", "health_status", "pause", "unpause", "rename"];

/// So far back the stream begins. The request is sent when the stream is first asked, so the
/// engine repeats what happened between this call and then; a little more does no harm.
const OVERLAP_MS: u64 = 200;

impl DockerRuntime {
    pub(super) async fn subscribe(&self, labels: &Labels) -> Result<EventStream, RuntimeError> {
        let client = self.client().await?;
        client.ping().await.map_err(|e| error::from(e, self, "events"))?;
        let mut filter: HashMap<String, Vec<String>> = label_filter(labels);
        filter.insert("type".to_owned(), vec!["container".to_owned()]);
        filter.insert("event".to_owned(), ACTIONS.map(str::to_owned).to_vec());
        let now = Timestamp::from_system_time(SystemTime::now()).0.saturating_sub(OVERLAP_MS);
        let since = format!("{}.{:03}000000", now / 1000, now % 1000);
        let options = EventsOptionsBuilder::default().filters(&filter).since(&since).build();
        let runtime = self.clone();
        let events = client.events(Some(options));
        Ok(events
            .map(move |e| e.map(event).map_err(|e| error::from(e, &runtime, "events")))
            .boxed())
    }
}

fn event(message: EventMessage) -> EngineEvent {
    let actor = message.actor.unwrap_or_default();
    EngineEvent {
        container: actor.id.unwrap_or_default(),
        labels: actor.attributes.unwrap_or_default().into_iter().collect(),
        action: action(&message.action.unwrap_or_default()),
    }
}

fn action(text: &str) -> EventAction {
    match text.split_once(": ") {
        Some(("health_status", "healthy")) => EventAction::Health(Health::Healthy),
        Some(("health_status", "unhealthy")) => EventAction::Health(Health::Unhealthy),
        _ => match text {
            "create" => EventAction::Created,
            "start" => EventAction::Started,
            "die" => EventAction::Died,
            "oom" => EventAction::OutOfMemory,
            "destroy" => EventAction::Removed,
            _ => EventAction::Other,
        },
    }
}
