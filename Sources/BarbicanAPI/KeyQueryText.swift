import KeyManager

extension KeyQuery {
  /// The query of `GET /v1/secrets`.
  var queryString: String {
    var items = ["limit=\(limit)", "offset=\(offset)"]
    func add(_ name: String, _ value: String?) {
      if let value { items.append("\(name)=\(percentEncoded(value))") }
    }
    add("name", name)
    add("secret_type", type?.rawValue)
    add("alg", algorithm)
    add("bits", bitLength.map(String.init))
    add("mode", mode)
    let orders = order.map { "\($0.field.wireName):\($0.ascending ? "asc" : "desc")" }
    if !orders.isEmpty { items.append("sort=\(orders.joined(separator: ","))") }
    return items.joined(separator: "&")
  }
}

extension KeyQuery.Field {
  fileprivate var wireName: String {
    self == .bitLength ? "bit_length" : rawValue
  }
}
