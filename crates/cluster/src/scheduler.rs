//! The scheduler: takes jobs from clients, gives their tasks to the executors that ask for work, and passes results on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow_flight::flight_service_server::FlightServiceServer;
use axum::Router;
use axum::routing::get;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::flight_proxy_service::BallistaFlightProxyService;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_core::utils::{default_config_producer, default_session_builder};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use futures_util::future::BoxFuture;
use model::error::{Context, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;
use tracing::info;

use crate::MESSAGE_SIZE_MAX;
use crate::about::{self, About};
use crate::codec::TaskCodec;

type Server = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// How long connections may take to end with the scheduler.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// How long results stay for a client that does not say that it has them.
const RESULTS_KEPT_S: u64 = 120;

#[derive(Clone, Debug)]
pub struct SchedulerSettings {
    pub listen: SocketAddr,
    /// An executor that was not heard of for this long is taken for lost; executors learn it from the scheduler.
    pub executor_timeout_s: u64,
}

/// Schedules until `stop`; `ready` gets the address that is bound.
///
/// Ends at once: clients of running jobs get an error and submit again.
///
/// # Errors
/// `Unavailable` when the address can't be bound.
pub fn serve(
    settings: SchedulerSettings,
    ready: Box<dyn FnOnce(SocketAddr) + Send>,
    stop: CancellationToken,
) -> BoxFuture<'static, Result<()>> {
    // Boxed: async code is compiled where it is polled, and belongs to this crate.
    Box::pin(schedule(settings, ready, stop))
}

async fn schedule(
    settings: SchedulerSettings,
    ready: Box<dyn FnOnce(SocketAddr) + Send>,
    stop: CancellationToken,
) -> Result<()> {
    let listener = TcpListener::bind(settings.listen).await;
    let listener = listener.unavailable(|| format!("listen on {}", settings.listen))?;
    let address = listener.local_addr().unavailable(|| "read the address bound".into())?;
    let scheduler = start(&settings, address).await?;
    ready(address);
    info!(%address, "scheduler takes jobs");
    let service = routes(scheduler, &settings).into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let goodbye = async {
        stop.cancelled().await;
        tokio::time::sleep(GOODBYE_MAX).await;
    };
    tokio::select! {
        ended = serving => ended.unavailable(|| "serve the scheduler".into()),
        () = goodbye => Ok(()),
    }
}

async fn start(settings: &SchedulerSettings, address: SocketAddr) -> Result<Server> {
    let cluster = BallistaCluster::new_memory(
        address.to_string(),
        Arc::new(default_session_builder),
        Arc::new(default_config_producer),
    );
    let config = Arc::new(config(settings, address));
    create_scheduler(cluster, config).await.unavailable(|| "start the scheduler".into())
}

// Executors ask for work, so nothing but results is ever fetched from them.
fn config(settings: &SchedulerSettings, address: SocketAddr) -> SchedulerConfig {
    let size_max = MESSAGE_SIZE_MAX as u32;
    SchedulerConfig {
        external_host: address.ip().to_string(),
        bind_host: address.ip().to_string(),
        bind_port: address.port(),
        scheduling_policy: TaskSchedulingPolicy::PullStaged,
        executor_timeout_seconds: settings.executor_timeout_s,
        expire_dead_executor_interval_seconds: 1,
        no_executors_grace_period_seconds: settings.executor_timeout_s,
        executor_termination_grace_period: 0,
        finished_job_data_clean_up_interval_seconds: RESULTS_KEPT_S,
        finished_job_state_clean_up_interval_seconds: RESULTS_KEPT_S,
        enable_embedded_flight_proxy: true,
        grpc_server_max_decoding_message_size: size_max,
        grpc_server_max_encoding_message_size: size_max,
        grpc_client_max_message_size: size_max,
        override_physical_codec: Some(Arc::new(TaskCodec::new(None))),
        ..SchedulerConfig::default()
    }
}

fn routes(scheduler: Server, settings: &SchedulerSettings) -> Router {
    let jobs = SchedulerGrpcServer::new(scheduler.clone())
        .max_decoding_message_size(MESSAGE_SIZE_MAX)
        .max_encoding_message_size(MESSAGE_SIZE_MAX);
    let results = BallistaFlightProxyService::new(MESSAGE_SIZE_MAX, MESSAGE_SIZE_MAX, false, None);
    let results = FlightServiceServer::new(results)
        .max_decoding_message_size(MESSAGE_SIZE_MAX)
        .max_encoding_message_size(MESSAGE_SIZE_MAX);
    let mut services = RoutesBuilder::default();
    services.add_service(jobs).add_service(results);
    let timeout = Duration::from_secs(settings.executor_timeout_s);
    let about = move || async move { About::ours(executors(&scheduler, timeout).await, timeout).text() };
    services.routes().into_axum_router().route(about::PATH, get(about))
}

async fn executors(scheduler: &Server, timeout: Duration) -> usize {
    let Ok(all) = scheduler.state.executor_manager.get_executors_state().await else { return 0 };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    all.iter().filter(|(_, heard, _)| heard.is_some_and(|heard| heard + timeout > now)).count()
}
