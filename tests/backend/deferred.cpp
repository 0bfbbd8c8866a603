// The Deferred backend passes the suite: the two contracts fit a backend that runs later, in memory of its own.
#include "deferred.hpp"

#include "attention_suite.hpp"
#include "quantized_suite.hpp"
#include "rows_suite.hpp"

namespace cotenant::test {
namespace {
struct DeferredFixture {
  using storage_type = DeferredMemory;
  static Deferred& device() {
    static Deferred& one = *new Deferred;
    return one;
  }
  static DeferredMemory storage() { return device().storage(); }
  static std::string description() { return "deferred"; }
  template <class F> static void for_each_configuration(F f) { f(); }
};
}  // namespace

TEST_CASE("a deferred op runs when its result is read, not when it is called") {
  Deferred device;
  const auto x = from({1.f, 2.f, 3.f}, {3}).copy_to(device.storage());
  const auto y = map([](auto v) { return v * 2.f; }, x);
  CHECK(device.recorded() == 2);
  const auto host = y.copy_to<Heap>();
  CHECK(device.recorded() == 3);
  CHECK(host.view()(2) == 6.f);
  CHECK(device.recorded() == 0);
}

TEST_CASE("a deferred op keeps operands that nobody else holds") {
  Deferred device;
  SharedTensor<float> host;
  {
    const auto x = full<float>({1000}, 2.f).copy_to(device.storage());
    host = reduce_sum(map([](auto v) { return v + 1.f; }, x)).copy_to<Heap>();
    CHECK(device.allocations() >= 1);
  }
  CHECK(host.view()() == 3000.f);
  CHECK(device.allocations() == 0);
}

TEST_CASE("the host's bytes may change after copy_to: a deferred copy took them already") {
  Deferred device;
  auto host = from({1.f, 2.f}, {2});
  const auto x = host.copy_to(device.storage());
  host.mutable_view()(0) = 100.f;
  CHECK(x.copy_to<Heap>().view()(0) == 1.f);
}

TEST_CASE("a deferred gather clamps an index instead of reading outside the table") {
  Deferred device;
  const auto table = from({1.f, 2.f, 3.f}, {3, 1}).copy_to(device.storage());
  const auto indices = from({99, -99}, {2}).copy_to(device.storage());
  const auto rows = gather(table, indices).copy_to<Heap>();
  CHECK(rows.view()(0, 0) == 3.f);
  CHECK(rows.view()(1, 0) == 1.f);
}
}  // namespace cotenant::test

using cotenant::test::DeferredFixture;
TYPE_TO_STRING(DeferredFixture);
COTENANT_BACKEND_SUITE_MAP(DeferredFixture)
COTENANT_BACKEND_SUITE_MATMUL(DeferredFixture)
COTENANT_BACKEND_SUITE_ROWS(DeferredFixture)
COTENANT_BACKEND_SUITE_QUANTIZED(DeferredFixture)
COTENANT_BACKEND_SUITE_ATTENTION(DeferredFixture)
COTENANT_BACKEND_SUITE_MORE_ROWS(DeferredFixture)
