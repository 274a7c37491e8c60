//! `pressrun serve`: the listener, as many workers as there are cores, the courier and the sweeper, over one data folder.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use axum::Extension;
use chrono::TimeDelta;
use courier::{BadSecret, Courier, Poster, SystemLookup};
use jobs::job::MEBIBYTE;
use jobs::local::{Local, OpenError, Smtp};
use jobs::{Announcing, Channel, Closing, Destinations, LinkSigner, Notifier, Patience};
use listener::access::Mode;
use listener::catalogue::Unusable;
use listener::{Access, Catalogue, Checks, Listener, Stopping};
use processor::{Limits, MOST_IN_HAND, Press, Processor, Scratch, work};
use sweeper::Sweeper;
use telemetry::server::BadExporter;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::{self, AccessError};
use crate::announcer::Announcer;
use crate::cli::{MailOptions, Serve, WebhookOptions};
use crate::http::{self, Bounds, TooFewDescriptors};
use crate::memory;
use crate::upkeep::{expiries, sweeps, trims};

/// After how many attempts that count a job fails for good.
const MAX_ATTEMPTS: u32 = 5;

/// Deliveries beyond those of one message, for recording that every attempt was killed.
const SPARE_DELIVERIES: u32 = 5;

/// How long a job may be without an end and without a message before it counts as lost: the record and the message are
/// written within moments of each other.
const OVERDUE_AFTER: TimeDelta = TimeDelta::seconds(60);

/// How many threads may block, without those of reports that stand still.
const BLOCKING_THREADS: usize = 512;

/// How long open connections may go on once the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// How long one attempt to deliver a webhook may take.
const WEBHOOK_TIME_LIMIT: Duration = Duration::from_secs(15);

/// Why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("cannot listen on {addr}: {source}. Stop what listens there, or name another address with --addr")]
    Address { addr: SocketAddr, source: io::Error },
    #[error("no templates: {0}. Name their folder with --templates")]
    Templates(#[from] Unusable),
    #[error("there is no template in {0}: a template is a folder with main.typ. Name another folder with --templates")]
    NoTemplates(PathBuf),
    #[error(transparent)]
    Data(#[from] OpenError),
    #[error("--smtp-url is not the URL of a mail server: {0}. Write it like smtps://user:password@mail.example.org")]
    Mail(#[from] lettre::transport::smtp::Error),
    #[error("invalid webhook secret: {0}")]
    WebhookSecret(#[from] BadSecret),
    #[error("cannot set up webhooks: {0}")]
    Webhooks(#[from] reqwest::Error),
    #[error(transparent)]
    Telemetry(#[from] BadExporter),
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    #[error("cannot start the server: {0}")]
    Runtime(io::Error),
    #[error("cannot start the typesetter: {0}")]
    Typesetter(io::Error),
}

impl ServeError {
    /// Whether the command line is not valid.
    fn is_usage(&self) -> bool {
        matches!(self, Self::Access(_) | Self::Mail(_) | Self::WebhookSecret(_) | Self::Telemetry(_))
    }
}

/// Serves until it receives a signal to stop.
pub(crate) fn serve(options: Serve) -> ExitCode {
    make_files_private();
    memory::keep_little();
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}.");
            ExitCode::from(if error.is_usage() { 2 } else { 1 })
        }
    }
}

/// Reports, mails and their links are for this user alone. What makes files is many: SQLite, children, temporary folders.
fn make_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

fn run(options: Serve) -> Result<(), ServeError> {
    // Each report that stands still while it reads its data holds one.
    let threads = BLOCKING_THREADS + MOST_IN_HAND * workers(&options);
    let runtime = Builder::new_multi_thread().enable_all().max_blocking_threads(threads).build();
    let runtime = runtime.map_err(ServeError::Runtime)?;
    let served = runtime.block_on(serve_until_stopped(options));
    // A name server that does not answer holds a thread, which the stop does not wait for.
    runtime.shutdown_background();
    served
}

async fn serve_until_stopped(options: Serve) -> Result<(), ServeError> {
    let telemetry = telemetry::server::start(options.log_format.into())?;
    let mode = access::mode(&options)?;
    let catalogue = Catalogue::new(&options.templates);
    let names = catalogue.names()?;
    if names.is_empty() {
        return Err(ServeError::NoTemplates(options.templates));
    }
    let room = http::reserve(bounds(&options), workers(&options))?;
    let address = |source| ServeError::Address { addr: options.addr, source };
    let socket = TcpListener::bind(options.addr).await.map_err(address)?;
    let addr = socket.local_addr().map_err(address)?;
    let url = url_of(addr);
    let mut local = Local::open(&options.data, MAX_ATTEMPTS + SPARE_DELIVERIES).await?;
    local.objects = local.objects.with_reserve(options.min_free_space.map(|mebibytes| mebibytes * MEBIBYTE));

    let (stop, stopped) = watch::channel(false);
    let notifier = notifier(&options, &local)?;
    let closing = closing(&options, &local, &url, &notifier);
    let mut tasks = start_workers(&options, &local, &closing, room.reports_beside, &stopped)?;
    let sweeper = Sweeper { queue: Arc::new(local.queue.clone()), closing };
    let destinations = destinations(&options, &mode);
    let courier = Arc::new(courier(&options, &local, destinations.clone(), notifier)?);
    let interrupt = interrupt_after(Duration::from_secs(options.stop_timeout), stopped.clone());
    tasks.spawn(courier::work(courier, Arc::new(local.deliveries.clone()), stopped.clone(), interrupt));
    tasks.spawn(sweeps(Arc::new(sweeper), stopped.clone()));
    tasks.spawn(expiries(local.expiry.clone(), retention(&options), stopped.clone()));
    tasks.spawn(trims(stopped.clone()));
    announce_start(&options, &url, &names);
    tokio::task::spawn_blocking({
        let catalogue = catalogue.clone();
        move || catalogue.read_all()
    });
    if options.public_url.is_none() && options.addr.ip().is_unspecified() {
        tracing::warn!(
            "links in mails and webhooks start with {url}, which works on this machine only; set --public-url to the URL that callers use"
        );
    }
    for warning in access::warnings(&options, &mode) {
        tracing::warn!("{warning}");
    }
    let access = access::access(&options, mode, addr, &local);
    let router = listener(&options, catalogue, access, destinations, &local).router();
    let router = router.layer(Extension(Stopping(stopped.clone())));
    tokio::spawn(told_to_stop(stop, options.stop_timeout));
    tokio::select! {
        () = http::serve(socket, router, room.connections, stopped.clone()) => {}
        () = grace_is_over(stopped) => {}
    }
    tasks.join_all().await;
    telemetry.stop().await;
    Ok(())
}

fn notifier(options: &Serve, local: &Local) -> Result<Arc<dyn Notifier>, ServeError> {
    let MailOptions { smtp_url, mail_from, mail_to } = &options.mail;
    Ok(match (smtp_url, mail_from, mail_to) {
        (Some(url), Some(from), Some(to)) => Arc::new(Smtp::new(url, from.clone(), to.clone())?),
        // Links work on this machine only.
        _ => Arc::new(Announcer(local.outbox.clone())),
    })
}

fn closing(options: &Serve, local: &Local, url: &str, notifier: &Arc<dyn Notifier>) -> Closing {
    Closing {
        jobs: Arc::new(local.jobs.clone()),
        announcing: match notifier.channel() {
            // A file is written at once; a mail server may take its time.
            Channel::Outbox => Announcing::InRun(notifier.clone()),
            channel => Announcing::Queued(channel),
        },
        deliveries: Arc::new(local.deliveries.clone()),
        links: LinkSigner::new(&local.link_key),
        public_url: options.public_url.clone().unwrap_or_else(|| url.to_owned()),
        retention: retention(options),
        patience: Patience::default(),
    }
}

fn courier(
    options: &Serve,
    local: &Local,
    destinations: Destinations,
    notifier: Arc<dyn Notifier>,
) -> Result<Courier, ServeError> {
    let secrets = options.webhooks.webhook_secret.as_ref().filter(|secrets| !secrets.is_empty());
    let secrets = secrets.unwrap_or(&local.webhook_secret).parse()?;
    let poster = Poster::new(destinations, Arc::new(SystemLookup), secrets, WEBHOOK_TIME_LIMIT)?;
    Ok(Courier { jobs: Arc::new(local.jobs.clone()), poster, notifier, patience: Patience::default() })
}

/// A receiver may be another server of this machine where all callers are on it: what listens on loopback is not for others.
fn destinations(options: &Serve, mode: &Mode) -> Destinations {
    let WebhookOptions { webhook_hosts, webhook_loopback, .. } = &options.webhooks;
    let loopback = *webhook_loopback || access::is_own_machines(options, mode);
    Destinations { hosts: webhook_hosts.clone(), loopback }
}

fn announce_start(options: &Serve, url: &str, names: &[String]) {
    let (templates, data) = (options.templates.display(), options.data.display());
    let names = names.join(", ");
    // Nobody may be reading.
    _ = writeln!(io::stdout(), "Pressrun listens on {url}\n  templates  {templates} ({names})\n  data       {data}");
}

fn listener(options: &Serve, catalogue: Catalogue, access: Access, webhooks: Destinations, local: &Local) -> Listener {
    Listener {
        queue: Arc::new(local.queue.clone()),
        jobs: Arc::new(local.jobs.clone()),
        objects: Arc::new(local.objects.clone()),
        catalogue,
        checks: Checks::default().receiving_in(&local.work),
        access,
        links: LinkSigner::new(&local.link_key),
        retention: retention(options),
        queue_life: OVERDUE_AFTER,
        max_data_bytes: Limits::from(&options.limits).data_bytes,
        reports_origin: None,
        longest_wait: Duration::from_secs(60),
        longest_stream: None,
        webhooks,
        public_url: options.public_url.clone(),
    }
}

/// How many connections there may be, as far as the system allows.
fn bounds(options: &Serve) -> Bounds {
    let all = options.max_connections;
    let of_one_address = options.max_connections_per_address.unwrap_or(all - all / 4);
    Bounds { all: all as usize, of_one_address: of_one_address as usize }
}

/// How many reports are made at the same time.
fn workers(options: &Serve) -> usize {
    let cores = available_parallelism().map_or(1, usize::from);
    // A worker beyond the cores would wait for a free one while its report's time runs.
    options.workers.map_or(cores, usize::from).min(cores)
}

fn start_workers(
    options: &Serve,
    local: &Local,
    closing: &Closing,
    beside: usize,
    stopped: &watch::Receiver<bool>,
) -> Result<JoinSet<()>, ServeError> {
    let count = workers(options);
    let press = Press::of_this_program(count, Limits::from(&options.limits)).map_err(ServeError::Typesetter)?;
    let press = press.with_room_beside(beside);
    for _ in 0..count {
        press.warm_up().map_err(ServeError::Typesetter)?;
    }
    let processor = Arc::new(Processor {
        closing: closing.clone(),
        objects: Arc::new(local.objects.clone()),
        press,
        templates: std::path::absolute(&options.templates).map_err(ServeError::Typesetter)?,
        scratch: Scratch::new(std::path::absolute(&local.work).map_err(ServeError::Typesetter)?),
        queue_life: OVERDUE_AFTER,
        max_attempts: MAX_ATTEMPTS,
        section_rows: options.limits.section_rows,
        interrupt: interrupt_after(Duration::from_secs(options.stop_timeout), stopped.clone()),
    });
    let mut workers = JoinSet::new();
    workers.spawn(work(processor, Arc::new(local.queue.clone()), stopped.clone(), count));
    Ok(workers)
}

fn retention(options: &Serve) -> TimeDelta {
    TimeDelta::days(options.retention_days.into())
}

/// The URL of a socket on this machine.
fn url_of(addr: SocketAddr) -> String {
    match addr.ip() {
        ip if ip.is_unspecified() => format!("http://localhost:{}", addr.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => format!("http://{addr}"),
    }
}

/// Turns true so long after the server began to stop.
fn interrupt_after(time: Duration, mut stopped: watch::Receiver<bool>) -> watch::Receiver<bool> {
    let (interrupt, interrupted) = watch::channel(false);
    tokio::spawn(async move {
        if stopped.wait_for(|stopped| *stopped).await.is_ok() {
            tokio::time::sleep(time).await;
            _ = interrupt.send(true);
        }
    });
    interrupted
}

async fn grace_is_over(mut stopped: watch::Receiver<bool>) {
    _ = stopped.wait_for(|stopped| *stopped).await;
    tokio::time::sleep(GRACE).await;
}

/// Returns when the process receives a signal to stop, and notifies the workers, which have so many seconds.
async fn told_to_stop(stop: watch::Sender<bool>, timeout: u64) {
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => _ = signal.recv().await,
            Err(error) => {
                tracing::warn!(%error, "cannot receive SIGTERM; Ctrl-C still stops the server");
                std::future::pending().await
            }
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
    tracing::info!("stopping: reports in progress have {timeout} s; press Ctrl-C to stop at once");
    _ = stop.send(true);
    tokio::spawn(async {
        _ = tokio::signal::ctrl_c().await;
        std::process::exit(130);
    });
}
