import Hummingbird
import KeyStore
import NIOCore
import VolumeManager

/// `GET /metrics`, for root and the service's user.
struct MetricsRoutes {
  let metrics: RequestMetrics
  let keys: LocalKeyManager
  let volumes: VolumeManager

  func add(to router: Router<Call>) {
    router.resource("/metrics", [.get: show])
  }

  @Sendable private func show(_ request: Request, _ call: Call) async throws -> Response {
    try call.checkAdministrator()
    let text = try await metrics.text(
      keys: keys.keyCount(), attachments: volumes.attachmentCount())
    return Response(
      status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }
}
