#include "experiments/data/digest.h"

#include <fmt/ranges.h>
#include <openssl/evp.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

#include "core/error.h"

namespace winnow {
namespace {

std::string hex_of(std::span<const unsigned char> raw) { return fmt::format("{:02x}", fmt::join(raw, "")); }

// Writes the digest to `raw`; its size.
std::size_t digest_once(const EVP_MD* kind, std::span<const std::byte> bytes, std::span<unsigned char> raw) {
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), raw.data(), &size, kind, nullptr) != 1) {
    fail(ErrorKind::Unavailable, "OpenSSL offers no {}", EVP_MD_name(kind));
  }
  return size;
}

std::string hex_digest(const EVP_MD* kind, std::span<const std::byte> bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  return hex_of(std::span(raw).first(digest_once(kind, bytes, raw)));
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  if (context_->evp == nullptr || EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) != 1) {
    fail(ErrorKind::Unavailable, "OpenSSL offers no SHA-256");
  }
}
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) { EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()); }

void Sha256::update(std::string_view text) {
  const std::uint64_t size = text.size();
  update(std::as_bytes(std::span(&size, 1)));
  update(std::as_bytes(std::span(text.data(), text.size())));
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(context_->evp, raw.data(), &size);
  return hex_of(std::span(raw).first(size));
}

std::array<unsigned char, 32> sha256_of(std::string_view text) {
  std::array<unsigned char, 32> digest{};
  digest_once(EVP_sha256(), std::as_bytes(std::span(text.data(), text.size())), digest);
  return digest;
}

std::string sha256_hex(std::span<const std::byte> bytes) { return hex_digest(EVP_sha256(), bytes); }

std::string sha1_hex(std::span<const std::byte> bytes) { return hex_digest(EVP_sha1(), bytes); }

std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t before) {
  uLong crc = before;
  while (!bytes.empty()) {
    const std::size_t part = std::min<std::size_t>(bytes.size(), std::numeric_limits<int>::max());
    crc = crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(part));
    bytes = bytes.subspan(part);
  }
  return static_cast<std::uint32_t>(crc);
}

}  // namespace winnow
