// TenancyTable: finds the tenancy of a (tensor, model) pair by name, for many threads at once.
#ifndef COTENANT_SHARE_TENANCY_TABLE_HPP
#define COTENANT_SHARE_TENANCY_TABLE_HPP
#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "cotenant/share/tenancy.hpp"

namespace cotenant::detail {

// A (tensor, model) pair as a key. Both views point into the tenancy's entry and model once it is listed.
struct TenancyKey {
  TenancyKey(std::string_view tensor_name, std::string_view model_name)
      // An odd multiplier keeps (a, b) and (b, a) apart; 2^64 / golden ratio spreads over the high bits.
      : tensor(tensor_name),
        model(model_name),
        hash((std::hash<std::string_view>()(tensor) * 31 + std::hash<std::string_view>()(model)) * std::size_t(0x9E3779B97F4A7C15u)) {}
  friend bool operator==(const TenancyKey& a, const TenancyKey& b) { return a.hash == b.hash && a.tensor == b.tensor && a.model == b.model; }
  std::string_view tensor, model;
  std::size_t hash;
};

class TenancyTable {
 public:
  // f(tenancy) where there is one, under the lock that keeps it listed; else nothing. What f returns; false without a tenancy.
  template <class F> bool with(const TenancyKey& key, const F& f) const {
    const Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.lock);
    const auto found = shard.tenancies.find(key);
    return found != shard.tenancies.end() && f(*found->second);
  }
  Tenancy* find(const TenancyKey& key) const {
    Tenancy* tenancy = nullptr;
    with(key, [&](Tenancy& found) { return tenancy = &found, true; });
    return tenancy;
  }
  void insert(Tenancy& tenancy) {
    const TenancyKey key = key_of(tenancy);
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.lock);
    shard.tenancies.emplace(key, &tenancy);
  }
  // Nothing where the pair's tenancy is another one, of the tensor's next version.
  void erase(const Tenancy& tenancy) {
    const TenancyKey key = key_of(tenancy);
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.lock);
    const auto found = shard.tenancies.find(key);
    if (found != shard.tenancies.end() && found->second == &tenancy) shard.tenancies.erase(found);
  }

 private:
  static TenancyKey key_of(const Tenancy& tenancy) { return TenancyKey(tenancy.entry()->name, tenancy.model()->name); }

  struct Hash {
    std::size_t operator()(const TenancyKey& key) const noexcept { return key.hash; }
  };
  // Twice as many shards as cores of a usual machine, so that threads on different pairs rarely meet; a cache line each.
  static constexpr std::size_t shard_count = 32;
  struct alignas(64) Shard {
    mutable SpinLock lock;
    std::unordered_map<TenancyKey, Tenancy*, Hash> tenancies;
  };
  // The top bits choose the shard: the table inside uses the low ones.
  static std::size_t index_of(const TenancyKey& key) { return (key.hash >> (sizeof(std::size_t) * 8 - 5)) % shard_count; }
  Shard& shard_of(const TenancyKey& key) { return shards_[index_of(key)]; }
  const Shard& shard_of(const TenancyKey& key) const { return shards_[index_of(key)]; }

  std::array<Shard, shard_count> shards_;
};

}  // namespace cotenant::detail

#endif
