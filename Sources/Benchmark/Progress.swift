internal import Glibc
internal import HostSystem

/// What a benchmark is doing, on standard error: a line that changes on a terminal, otherwise a line now and
/// then once it has taken a second.
public final class Progress {
  private let isSilent: Bool
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var steps = 0
  private var done = 0
  private var start = ContinuousClock.now
  private var lastLine: ContinuousClock.Instant?
  private var isLineOpen = false

  public init(isSilent: Bool = false) {
    self.isSilent = isSilent
  }

  func begin(steps: Int) {
    self.steps = steps
    done = 0
    start = .now
    lastLine = nil
  }

  /// A step begins; the ones before it are done.
  func step(_ text: String) {
    defer { done += 1 }
    let percent = steps == 0 ? 0 : 100 * done / steps
    show("\(percent) %\(remaining) · \(text)")
  }

  /// Something outside of the counted steps.
  func note(_ text: String) { show(text) }

  func end() {
    if isLineOpen { StandardError.print("\r\u{1B}[K", terminator: "") }
    isLineOpen = false
  }

  private func show(_ text: String) {
    guard !isSilent else { return }
    if isTerminal {
      StandardError.print("\r\u{1B}[K\(text)", terminator: "")
      isLineOpen = true
      return
    }
    // Silent for a second, then at most a line in ten.
    let now = ContinuousClock.now
    let due = lastLine.map { $0 + .seconds(10) } ?? start + .seconds(1)
    guard now >= due else { return }
    lastLine = now
    StandardError.print(text)
  }

  private var remaining: String {
    guard done > 0 else { return "" }
    let elapsed = ContinuousClock.now - start
    guard elapsed > .seconds(1) else { return "" }
    let seconds = Int((elapsed * (steps - done) / done).components.seconds)
    return seconds >= 60 ? ", \((seconds + 30) / 60) min left" : ", \(seconds) s left"
  }
}
