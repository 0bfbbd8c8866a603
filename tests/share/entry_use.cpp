// Who uses an entry: leases, objects, pins, writers, forms; and closing its doors.
#include "cotenant/share/entry_use.hpp"

#include <memory>

#include "support.hpp"

namespace ct = cotenant;
using namespace ct::detail;

namespace {
struct Use {
  share_tests::FakeClock clock;
  std::shared_ptr<TypedEntry<float, ct::Heap>> entry = std::make_shared<TypedEntry<float, ct::Heap>>("x", share_tests::ramp());
  std::unique_ptr<Tenancy> tenancy = std::make_unique<Tenancy>(entry, std::make_shared<Model>(), std::make_shared<Recorder>(Clock(clock)));
  Use() { entry->tenancies.push_back(tenancy.get()); }
  bool unused() const {
    ct::TimePoint last{};
    return is_unused(*entry, last);
  }
};
}  // namespace

TEST_CASE_FIXTURE(Use, "leases, objects without one, pins and writers are uses") {
  CHECK(unused());
  tenancy->hold(clock());
  CHECK_FALSE(unused());
  CHECK_FALSE(close(*entry));
  tenancy->end_all(clock());
  ct::TimePoint last{};
  CHECK(is_unused(*entry, last));
  CHECK(last == clock());
  LeaseNode node;
  REQUIRE(tenancy->attach(node, true, clock()));
  tenancy->end_all(clock());
  CHECK_FALSE(unused());  // the object still looks at it
  node.release();
  entry->pinned = true;
  CHECK_FALSE(unused());
  entry->pinned = false;
  entry->writer = "w";
  CHECK_FALSE(unused());
}

TEST_CASE_FIXTURE(Use, "closed: no lease begins until it is open again; a handle outside keeps a block open") {
  CHECK(close_block({entry.get()}));
  LeaseNode node;
  CHECK_FALSE(tenancy->attach(node, true, clock()));
  reopen(*entry);
  const auto handle = entry->tensor;
  CHECK_FALSE(close_block({entry.get()}));
  CHECK(tenancy->attach(node, true, clock()));
  node.release();
}

TEST_CASE_FIXTURE(Use, "forms of a block: being made, held, looked at") {
  BlockRecord record;
  record.entries = {entry.get()};
  CHECK(name_count(record.entries) == 1);
  CHECK_FALSE(form_is_held(record, true));
  record.forms.push_back({ct::DType::f32, entry->layout, ct::DType::f32, ct::StorageIdentity::of<ct::Heap>(), {}, nullptr, ""});
  CHECK(form_is_held(record, false));  // being made
  record.forms.back().entry = entry;
  CHECK_FALSE(form_is_held(record, true));
  LeaseNode node;
  REQUIRE(tenancy->attach(node, true, clock()));
  CHECK(form_is_held(record, false));
  tenancy->end_all(clock());
  CHECK_FALSE(form_is_held(record, false));
  CHECK(form_is_held(record, true));
  node.release();
  entry->form = "f32 → bf16";
  CHECK(name_count(record.entries) == 0);
}
