// TenancyTable: pairs of names, and the tenancy that is listed under them.
#include "cotenant/share/tenancy_table.hpp"

#include <memory>
#include <string>

#include "support.hpp"

namespace ct = cotenant;
using namespace ct::detail;

TEST_CASE("a pair finds its tenancy, and only its own is taken out") {
  const auto recorder = std::make_shared<Recorder>(Clock(share_tests::FakeClock()));
  const auto make = [&](const char* tensor, const char* model_name) {
    auto model = std::make_shared<Model>();
    model->name = model_name;
    return std::make_unique<Tenancy>(std::make_shared<TypedEntry<float, ct::Heap>>(tensor, share_tests::ramp()), model, recorder);
  };
  TenancyTable table;
  const auto ab = make("a", "b"), ba = make("b", "a"), next = make("a", "b");
  table.insert(*ab);
  table.insert(*ba);
  CHECK(table.find({"a", "b"}) == ab.get());
  CHECK(table.find({"b", "a"}) == ba.get());
  CHECK(table.find({"a", "a"}) == nullptr);
  CHECK(TenancyKey("a", "b").hash != TenancyKey("b", "a").hash);
  bool called = false;
  CHECK_FALSE(table.with({"x", "b"}, [&](Tenancy&) { return called = true; }));
  CHECK_FALSE(table.with({"a", "b"}, [](Tenancy&) { return false; }));
  CHECK(table.with({"a", "b"}, [&](Tenancy& tenancy) { return &tenancy == ab.get(); }));
  CHECK_FALSE(called);
  table.erase(*next);  // of the next version, which is not listed
  CHECK(table.find({"a", "b"}) == ab.get());
  table.erase(*ab);
  CHECK(table.find({"a", "b"}) == nullptr);
  table.insert(*next);
  CHECK(table.find({"a", "b"}) == next.get());
}
