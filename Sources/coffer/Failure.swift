import ArgumentParser
import Glibc
import HostSystem
import KeyManager
import SecretMemory
import VolumeAPI

/// What the shell sees of an error: a text, and an exit code that scripts can rely on.
enum Failure {
  /// Prints the error and ends the process.
  static func exit(with error: any Error, from command: (any ParsableCommand)?) -> Never {
    guard let failure = volumeError(from: error) else {
      if Coffer.exitCode(for: error) == .success || error is ExitCode {
        Coffer.exit(withError: error)
      }
      let text = Coffer.fullMessage(for: error)
      // The command was not understood, so what it would have printed is told from its words.
      let json = CommandLine.arguments.contains("--json")
      StandardError.print(
        json ? JSONOutput.text(ErrorOutput(error: VolumeError(.invalidRequest, text))) : text)
      ProcessEnd.now(usage)
    }
    let json = (command as? any PrintingCommand)?.output.json ?? false
    StandardError.print(json ? JSONOutput.text(ErrorOutput(error: failure)) : text(of: failure))
    ProcessEnd.now(exitCode(of: failure.code))
  }

  private static func text(of failure: VolumeError) -> String {
    "coffer: \(failure.message)" + (failure.advice.map { "\n        \($0)" } ?? "")
  }

  private static let usage: Int32 = 2

  /// The one place where a failure becomes an exit code.
  private static func exitCode(of code: VolumeErrorCode) -> Int32 {
    switch code {
    case .internalFailure: 1
    case .invalidRequest: usage
    case .noSuchVolume, .noSuchKey, .noSuchImage: 3
    case .notAuthorized: 4
    case .alreadyExists, .inUse: 5
    case .keyManagerUnavailable: 6
    case .wrongKey: 7
    case .damagedImage, .unsupportedImage: 8
    case .badMountpoint: 9
    case .noFuse: 10
    case .noSpace, .inputOutput: 11
    }
  }

  /// Every error of the layers below as the one kind that is printed; nil for the argument parser's own.
  private static func volumeError(from error: any Error) -> VolumeError? {
    switch error {
    case let error as VolumeError: error
    case let error as KeyManagerError: VolumeError(error)
    case let error as SystemError: VolumeError(.inputOutput, "\(error)")
    case let error as SecretMemoryError: VolumeError(.inputOutput, "\(error)")
    default: nil
    }
  }
}

/// `--json`'s form of an error.
private struct ErrorOutput: Encodable {
  let error: VolumeError
}
