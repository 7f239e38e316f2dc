// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore: Target.Dependency = .product(
  name: "HummingbirdCore", package: "hummingbird")
let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let lifecycle: Target.Dependency = .product(
  name: "ServiceLifecycle", package: "swift-service-lifecycle")
let argumentParser: Target.Dependency = .product(
  name: "ArgumentParser", package: "swift-argument-parser")

/// A library layer and its test target, which mirrors it.
func layer(
  _ name: String, _ dependencies: [Target.Dependency], testedWith: [Target.Dependency] = []
) -> [Target] {
  [
    .target(name: name, dependencies: dependencies, swiftSettings: settings),
    .testTarget(
      name: "\(name)Tests",
      dependencies: [.target(name: name)] + dependencies + testedWith,
      swiftSettings: settings),
  ]
}

/// The one module through which a C library is reached.
func shim(_ name: String, links libraries: [String] = []) -> Target {
  .target(name: name, linkerSettings: libraries.map { .linkedLibrary($0) })
}

func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

let package = Package(
  name: "coffer",
  products: [
    .executable(name: "coffer", targets: ["coffer"]),
    .executable(name: "cofferd", targets: ["cofferd"]),
    .executable(name: "mount.coffer", targets: ["mount.coffer"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(
      url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    shim("CLinux"),
    shim("CSecretMemory"),
    shim("CCrypto", links: ["crypto"]),
    shim("CCryptsetup", links: ["cryptsetup"]),
    shim("CFuse", links: ["fuse3"]),
    shim("CURing", links: ["uring"]),
    shim("CCurl", links: ["curl"]),
    shim("CXTS"),
    .target(name: "FakeServer", path: "Tests/FakeServer", swiftSettings: settings),
    program(
      "coffer",
      [
        "Attachment", "Benchmark", "VolumeAPI", "BarbicanAPI", "KeyStore", "KeyManager",
        "HostSystem", "SecretMemory", argumentParser,
      ]),
    .testTarget(
      name: "cofferTests", dependencies: ["coffer", "SecretMemory"], swiftSettings: settings),
    program(
      "cofferd",
      ["CofferService", "VolumeManager", "VolumeAPI", "HostSystem", argumentParser, logging]),
    .testTarget(
      name: "cofferdTests",
      dependencies: [
        "cofferd", "VolumeAPI", "BarbicanAPI", "KeyStore", "KeyManager", "HostSystem",
        "SecretMemory",
      ],
      swiftSettings: settings),
    program("mount.coffer", ["Attachment", "AttachmentServer", "VolumeAPI", "HostSystem"]),
  ]
    + layer("HostSystem", ["CLinux", systemPackage])
    + layer("SecretMemory", ["CSecretMemory"])
    + layer("SectorCipher", ["CXTS", "CCrypto", "SecretMemory"])
    + layer("LUKS", ["CCrypto", "CCryptsetup", "HostSystem", "SecretMemory"])
    + layer(
      "BlockImage", ["SectorCipher", "HostSystem", "SecretMemory", "CLinux", systemPackage],
      testedWith: ["DataPlaneTesting"])
    + layer(
      "ImageMount", ["CFuse", "CURing", "BlockImage", "HostSystem", "CLinux", systemPackage],
      testedWith: ["ImageMountFixture", "DataPlaneTesting"])
    + [
      .executableTarget(
        name: "ImageMountFixture",
        dependencies: ["BlockImage", "HostSystem", "ImageMount", "SecretMemory", "SectorCipher"],
        path: "Tests/ImageMountFixture", swiftSettings: settings),
      .target(
        name: "DataPlaneTesting",
        dependencies: ["BlockImage", "HostSystem", "SecretMemory", "SectorCipher"],
        path: "Tests/DataPlaneTesting", swiftSettings: settings),
    ]
    + layer("KeyManager", ["SecretMemory"])
    + layer("KeyStore", ["KeyManager", "CCrypto", "HostSystem", "SecretMemory", grdb])
    + layer("BarbicanAPI", ["KeyManager", "CCurl", "SecretMemory"], testedWith: ["FakeServer"])
    + layer(
      "VolumeAPI", ["BarbicanAPI", "KeyManager", "HostSystem", "SecretMemory"],
      testedWith: ["FakeServer"])
    + layer(
      "VolumeManager",
      [
        "KeyManager", "VolumeAPI", "LUKS", "HostSystem", "SecretMemory", "CLinux", systemPackage,
        grdb,
      ],
      testedWith: ["KeyStore", "cofferd"])
    + layer(
      "CofferService",
      [
        "KeyStore", "VolumeManager", "VolumeAPI", "BarbicanAPI", "KeyManager", "HostSystem",
        "SecretMemory", "CSecretMemory", hummingbird, hummingbirdCore, nio, httpTypes, lifecycle,
        logging, grdb,
      ])
    + layer("Attachment", ["VolumeAPI", "KeyManager", "HostSystem"])
    + layer(
      "AttachmentServer",
      [
        "Attachment", "ImageMount", "BlockImage", "SectorCipher", "LUKS", "VolumeAPI", "KeyManager",
        "HostSystem", "SecretMemory", systemPackage,
      ])
    + layer(
      "Benchmark", ["ImageMount", "BlockImage", "SectorCipher", "HostSystem", "SecretMemory"],
      testedWith: ["DataPlaneTesting", "coffer", "cofferd", "mount.coffer"]),
  swiftLanguageModes: [.v6]
)
