import KeyManager
import KeyStore
import Logging
import ServiceLifecycle

/// Renews the master key whenever it has been in force for a while.
///
/// A stop of the daemon ends the waiting at once; a renewal that runs then is finished first.
struct PeriodicalRenewal: Service {
  let keys: LocalKeyManager
  /// How long a master key is in force.
  let interval: Duration
  let logger: Logger

  /// After a failure, at the soonest.
  private static let pause = Duration.seconds(600)

  func run() async {
    // A sleep that is cut short by the daemon's stop is no failure.
    try? await cancelWhenGracefulShutdown {
      // For a store that does not say since when.
      let start = Timestamp.now()
      // A store on a slow disk may leave no time to sleep.
      while !Task.isCancelled {
        let saved = try? await keys.masterKeyStatus().saved
        let due = (saved ?? start) + interval
        let left = due.microseconds - Timestamp.now().microseconds
        if left > 0 {
          // The clock may be set meanwhile.
          try await Task.sleep(for: min(.microseconds(left), .seconds(3600)))
          continue
        }
        do throws(KeyManagerError) {
          let id = try await keys.renewMasterKey()
          logger.notice("renewed the master key, which is \(id) now")
        } catch {
          logger.error("the periodical renewal of the master key failed: \(error)")
          try await Task.sleep(for: Self.pause)
        }
      }
    }
  }
}

extension Timestamp {
  static func + (time: Timestamp, duration: Duration) -> Timestamp {
    let (seconds, attoseconds) = duration.components
    return Timestamp(
      microseconds: time.microseconds + seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
  }
}
