//! Stops a child process where it stands, and lets it go on. What cannot be sent is for a child that is gone already.

/// Whether this system can.
pub(crate) const CAN_PAUSE: bool = cfg!(unix);

/// The child, a process group of its own, stands still.
#[cfg(unix)]
pub(crate) fn pause(child: u32) {
    send(child, rustix::process::Signal::STOP);
}

/// The child goes on.
#[cfg(unix)]
pub(crate) fn resume(child: u32) {
    send(child, rustix::process::Signal::CONT);
}

/// The memory that the child holds; 0 where the system does not tell.
pub(crate) fn resident_bytes(child: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
    typesetter::worker::resident_in(&status)
}

#[cfg(unix)]
fn send(child: u32, signal: rustix::process::Signal) {
    let group = i32::try_from(child).ok().and_then(rustix::process::Pid::from_raw);
    _ = group.map(|group| rustix::process::kill_process_group(group, signal));
}

/// Never called: no turn is taken away.
#[cfg(not(unix))]
pub(crate) fn pause(_child: u32) {}

/// Never called: no turn is taken away.
#[cfg(not(unix))]
pub(crate) fn resume(_child: u32) {}
