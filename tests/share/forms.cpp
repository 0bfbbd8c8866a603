// Forms: another element type, width or layout of a registered tensor; made once, counted once, never stale.
#include "cotenant/share/forms.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "cotenant/share/manager.hpp"
#include "memory_spill.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace std::chrono_literals;
using namespace share_tests;

namespace {

struct Forms {
  FakeClock clock;
  ct::TensorSharingManager manager{{.clock = clock, .record_timeline = true, .record_events = true}};
  std::size_t derived() const { return manager.event_counts()[ct::EventKind::derive]; }
  std::size_t bytes() const { return manager.stats().true_bytes; }
};

ct::SharedTensor<float> matrix() { return ct::from<float>({0.5f, -1.25f, 127.0f, -254.0f, 0.0f, 1.0f, 2.0f, 4.0f}, {2, 4}); }

}  // namespace

TEST_CASE_FIXTURE(Forms, "get() in another float type: made once, counted once, for everybody") {
  manager.register_tensor("x", matrix(), {.producer = "bert"});
  const std::size_t before = bytes();
  const auto half = manager.get<ct::bf16>("x", "t5");
  CHECK(derived() == 1);
  CHECK(half->shape() == ct::Shape{2, 4});
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t j = 0; j < 4; ++j) CHECK(half->view()(i, j) == ct::bf16(matrix().view()(i, j)));
  CHECK(bytes() == before + 64);
  CHECK_THROWS_AS(ct::SharedTensor<ct::bf16>(*half).mutable_view(), ct::ReadOnly);
  const auto other = manager.get<ct::bf16>("x", "bart"), again = manager.get<ct::bf16>("x", "t5");
  CHECK(other->block() == half->block());
  CHECK(again->block() == half->block());
  CHECK(derived() == 1);
  CHECK(bytes() == before + 64);
  CHECK(manager.get<ct::f16>("x", "t5")->view()(1, 3) == ct::f16(4.0f));
  CHECK(derived() == 2);

  const auto stats = manager.stats();
  const auto& form = stats.tensors.at("x (f32 → bf16)");
  CHECK(form.form == "f32 → bf16");
  CHECK(form.source == "x");
  CHECK(form.holders == std::map<std::string, std::size_t>{{"bart", 1}, {"t5", 2}});
  CHECK(form.extra_bytes == 64);
  CHECK(stats.hits == 4);
  CHECK(stats.saved_bytes == 16);  // two models, one form of 16 bytes
  CHECK(half.name() == "x (f32 → bf16)");
  const auto events = manager.events();
  const auto event = std::find_if(events.begin(), events.end(), [](const ct::Event& each) { return each.kind == ct::EventKind::derive; });
  CHECK(event->tensor == "x (f32 → bf16)");
  CHECK(event->model == "t5");
  CHECK(event->bytes == 64);
  CHECK_FALSE(manager.contains("x (f32 → bf16)"));  // listed, but no name
  CHECK(manager.report().find("x (f32 → bf16)") != std::string::npos);
}

TEST_CASE_FIXTURE(Forms, "get<int8_t> is quantised, with its scale") {
  manager.register_tensor("x", matrix());
  const auto lease = manager.get<std::int8_t>("x", "m");
  const auto q = lease.quantized();
  CHECK(q.scale.shape() == ct::Shape{2, 1});
  CHECK(q.scale.view()(0, 0) == 2.0f);
  CHECK(q.scale.view()(1, 0) == 4.0f / 127);
  CHECK_FALSE(static_cast<bool>(q.zero_point));
  const std::int8_t expected[2][4] = {{0, -1, 64, -127}, {0, 32, 64, 127}};  // 0.25 and 63.5 round to even
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t j = 0; j < 4; ++j) CHECK(int{(*lease).view()(i, j)} == int{expected[i][j]});
  CHECK(q.values.block() == q.scale.block());  // one block, counted once
  CHECK(derived() == 1);
  CHECK(manager.get<std::int8_t>("x", "n")->block() == lease->block());
  SUBCASE("in other ranges") {
    const auto whole = manager.get<std::int8_t>("x", "m", {}).quantized();
    CHECK(whole.scale.size() == 1);
    CHECK(whole.scale.view().data()[0] == 2.0f);
    CHECK(manager.get<std::int8_t>("x", "n", ct::per_block(2)).quantized().scale.shape() == ct::Shape{2, 2});
    CHECK_THROWS_AS(static_cast<void>(manager.get<std::int8_t>("x", "n", ct::per_block(3))), ct::ShapeError);
    CHECK(derived() == 3);
  }
  SUBCASE("uint8 has a zero point") {
    const auto u = manager.get<std::uint8_t>("x", "m").quantized();
    CHECK(u.zero_point.shape() == ct::Shape{2, 1});
    CHECK(u.scale.view()(0, 0) == 381.0f / 255);
    CHECK(int{u.zero_point.view()(0, 0)} == 170);
    CHECK(int{u.zero_point.view()(1, 0)} == 0);
    CHECK(int{u.values.view()(0, 3)} == 0);
    CHECK(int{u.values.view()(1, 3)} == 255);
  }
  SUBCASE("and pairs of 4 bits") {
    const auto pairs = manager.get<ct::i4x2>("x", "m").quantized();
    CHECK(pairs.values.shape() == ct::Shape{2, 2});
    CHECK(pairs.values.view()(1, 1).low() == static_cast<int>(std::nearbyint(2.0f / (4.0f / 7))));
    CHECK(pairs.values.view()(1, 1).high() == 7);
    CHECK(pairs.values.view()(0, 1).high() == -7);
  }
}

TEST_CASE_FIXTURE(Forms, "and back: registered as quantised values, taken as numbers") {
  ct::Quantized<std::int8_t, ct::Heap> q{ct::from<std::int8_t>({1, -2, 3, 4, 5, -6}, {2, 3}), ct::from<float>({0.5f, 2.0f}, {2, 1}), {}};
  const auto kept = manager.register_tensor("w", q, {.producer = "m"});
  CHECK(kept.scale.view()(1, 0) == 2.0f);
  CHECK(kept.scale.block() == kept.values.block());
  CHECK(manager.get<std::int8_t>("w", "a").quantized().values.view()(0, 1) == -2);
  CHECK(manager.get<float>("w", "a")->view()(0, 1) == -1.0f);
  CHECK(manager.get<ct::bf16>("w", "a")->view()(1, 2) == ct::bf16(-12.0f));
  CHECK(manager.get<std::uint8_t>("w", "a").quantized().zero_point.view()(1, 0) > 0);
  CHECK(derived() == 3);
  CHECK(manager.register_tensor("w", q).values.block() == kept.values.block());
  CHECK(manager.tensor_memory_usage().at("w").bytes == 6 + 8);
  SUBCASE("with a zero point, blocks and pairs") {
    manager.register_tensor("u", ct::Quantized<std::uint8_t, ct::Heap>{ct::from<std::uint8_t>({10, 20, 30, 40}, {1, 4}), ct::from<float>({1, 10}, {1, 2}),
                                                                    ct::from<std::uint8_t>({10, 40}, {1, 2})});
    const auto numbers = manager.get<float>("u", "a");
    const float expected[] = {0, 10, -100, 0};
    for (std::size_t i = 0; i < 4; ++i) CHECK(numbers->view()(0, i) == expected[i]);
    manager.register_tensor("p", ct::Quantized<ct::i4x2, ct::Heap>{ct::from<ct::i4x2>({{1, -8}, {7, 0}}, {1, 2}), ct::from<float>({2}, {1}), {}});
    const auto unpacked = manager.get<ct::f16>("p", "a");
    CHECK(unpacked->shape() == ct::Shape{1, 4});
    const float pairs[] = {2, -16, 14, 0};
    for (std::size_t i = 0; i < 4; ++i) CHECK(static_cast<float>(unpacked->view()(0, i)) == pairs[i]);
  }
  SUBCASE("a writer gives new values to the same scale") {
    const auto old = manager.get<float>("w", "a");
    { manager.write<std::int8_t>("w", "m").view()(0, 0) = 100; }
    CHECK(manager.get<float>("w", "a")->view()(0, 0) == 50.0f);
    CHECK(old->view()(0, 0) == 0.5f);
    CHECK(manager.get<std::int8_t>("w", "a").quantized().scale.view()(0, 0) == 0.5f);
  }
  SUBCASE("what does not fit is refused") {
    manager.register_tensor("bare", ct::from<std::int8_t>({1, 2}, {2}));
    CHECK(has(message_of<ct::TypeError>([&] { static_cast<void>(manager.get<float>("bare", "m")); }), "registered with their scale"));
    CHECK_THROWS_AS(static_cast<void>(manager.get<std::int8_t>("bare", "m").quantized()), ct::TypeError);
    q.scale = ct::from<float>({1, 1, 1}, {3, 1});
    CHECK(has(message_of<ct::ShapeError>([&] { manager.register_tensor("v", q); }), "does not divide"));
    q.scale = {};
    CHECK_THROWS_AS(manager.register_tensor("v", q), ct::InvalidArgument);
    CHECK(has(message_of<ct::AlreadyRegistered>([&] { manager.register_tensor("w", q.values); }), "taken"));
  }
}

TEST_CASE_FIXTURE(Forms, "a form is never of an older version") {
  manager.register_tensor("x", matrix());
  SUBCASE("written in place") {
    { CHECK(manager.get<ct::bf16>("x", "m")->view()(0, 0) == ct::bf16(0.5f)); }
    {
      auto write = manager.write<float>("x", "w");
      CHECK(write.in_place());
      CHECK(bytes() == 64);  // the form went with the elements
      write.view()(0, 0) = 3;
    }
    CHECK(manager.get<ct::bf16>("x", "m")->view()(0, 0) == ct::bf16(3.0f));
    CHECK(derived() == 2);
  }
  SUBCASE("written in place while somebody holds a form: that one keeps what it has") {
    const auto old = manager.get<ct::bf16>("x", "m");
    {
      auto write = manager.write<float>("x", "w");
      CHECK(write.in_place());  // the form has bytes of its own
      write.view()(0, 0) = 3;
    }
    CHECK(old->view()(0, 0) == ct::bf16(0.5f));
    CHECK(old.held());
    CHECK(manager.get<ct::bf16>("x", "m")->view()(0, 0) == ct::bf16(3.0f));
    CHECK(bytes() == 3 * 64);
    CHECK(manager.release("x", "m"));  // the version that is there has none left, so the old one's
    CHECK_FALSE(old.held());
  }
  SUBCASE("replaced") {
    const auto reader = manager.get<float>("x", "r");
    const auto old = manager.get<ct::bf16>("x", "m");
    { manager.write<float>("x", "w").view()(0, 0) = 3; }
    CHECK(old->view()(0, 0) == ct::bf16(0.5f));
    CHECK(manager.get<ct::bf16>("x", "m")->view()(0, 0) == ct::bf16(3.0f));
  }
  SUBCASE("forgotten and registered anew") {
    { const auto form = manager.get<ct::bf16>("x", "m"); CHECK_FALSE(manager.forget("x")); }  // a lease on a form is one on the tensor
    CHECK(manager.forget("x"));
    CHECK(bytes() == 0);
    CHECK(manager.stats().total_tensors == 0);
    manager.register_tensor("x", ct::full<float>({2, 4}, 9.0f));
    CHECK(manager.get<ct::bf16>("x", "m")->view()(0, 0) == ct::bf16(9.0f));
  }
}

TEST_CASE_FIXTURE(Forms, "leases on forms end as others do") {
  manager.register_tensor("x", matrix());
  auto form = manager.get<ct::f16>("x", "m");
  auto more = form.again();
  CHECK(manager.release("x", "m"));
  CHECK_FALSE(form.held());
  CHECK(more.held());
  CHECK(manager.release_model("m") == 1);
  CHECK(form->view()(0, 0) == ct::f16(0.5f));
  form.release();
  more.release();
  CHECK_FALSE(manager.can_be_freed("nothing"));
  clock.advance(60s);
  const auto result = manager.optimize_memory();
  CHECK(result.freed_bytes == result.initial_bytes);
  CHECK(bytes() == 0);
  CHECK_FALSE(manager.try_get<ct::f16>("x", "m").has_value());
  CHECK_THROWS_AS(static_cast<void>(manager.get<ct::f16>("x", "m")), ct::NotFound);
  CHECK(manager.stats().misses == 2);
}

TEST_CASE_FIXTURE(Forms, "a tensor whose form is leased is not freed") {
  manager.register_tensor("x", matrix());
  const auto form = manager.get<ct::f16>("x", "m");
  clock.advance(60s);
  CHECK_FALSE(manager.can_be_freed("x"));
  CHECK(manager.optimize_memory(ct::MemoryMode::memory).freed_tensors == 0);
  CHECK(manager.contains("x"));
}

TEST_CASE("forms and the budget") {
  FakeClock clock;
  const auto spill = std::make_shared<MemorySpill>();
  ct::TensorSharingManager manager{{.max_memory = 4 * page_bytes, .clock = clock, .spill = spill}};
  const auto filled = [](float value, std::size_t pages) { return ct::full<float>({pages * page_bytes / 4}, value); };
  manager.register_tensor("x", filled(3, 2));
  SUBCASE("their room is made like any other's") {
    manager.register_tensor("y", filled(4, 2));
    clock.advance(1s);
    CHECK(manager.get<ct::bf16>("x", "m")->view()(2047) == ct::bf16(3.0f));  // y had to go
    CHECK(manager.stats().peak_bytes <= 4 * page_bytes);
    CHECK_FALSE(manager.tensor_memory_usage().at("y").resident);
    clock.advance(1s);
    const auto y = manager.get<float>("y", "m");  // the form went: it is made again most easily
    CHECK(manager.stats().true_bytes == 4 * page_bytes);
    CHECK(manager.stats().total_tensors == 2);
  }
  SUBCASE("the source may be away while its form is in use") {
    const auto form = manager.get<ct::bf16>("x", "m");
    manager.register_tensor("y", filled(4, 3), {.producer = "n"});
    CHECK_FALSE(manager.tensor_memory_usage().at("x").resident);
    CHECK(form->view()(5) == ct::bf16(3.0f));
    CHECK(manager.get<ct::bf16>("x", "o")->block() == form->block());  // and it is found there
    CHECK_THROWS_AS(static_cast<void>(manager.get<float>("x", "o")), ct::BudgetExceeded);
    manager.release("y", "n");
    CHECK(manager.get<float>("x", "o")->view()(9) == 3.0f);
  }
  SUBCASE("no room: nothing is lost, and it says who holds what") {
    const auto x = manager.get<float>("x", "m");
    manager.register_tensor("y", filled(4, 2), {.producer = "n"});
    const std::string message = message_of<ct::BudgetExceeded>([&] { static_cast<void>(manager.get<ct::bf16>("x", "m")); });
    CHECK(has(message, "'x (f32 → bf16)' (4.0 KiB)"));
    CHECK(has(message, "'y' 8.0 KiB (leased by n)"));
    CHECK(manager.stats().true_bytes == 4 * page_bytes);
  }
  SUBCASE("a form that got a name of its own stays, and comes back") {
    const auto q = manager.get<std::int8_t>("x", "m").quantized();
    const std::size_t before = manager.stats().true_bytes;
    manager.register_tensor("packed", q);
    manager.register_tensor("half", *manager.get<ct::bf16>("x", "m"));
    CHECK(manager.stats().true_bytes == before + page_bytes);  // q has no second copy
    CHECK(manager.get<std::int8_t>("packed", "m")->block() == q.values.block());
  }
  SUBCASE("such a form may be sent away") {
    manager.register_tensor("half", *manager.get<ct::bf16>("x", "m"));
    manager.register_tensor("y", filled(4, 4), {.producer = "n"});
    CHECK_FALSE(manager.tensor_memory_usage().at("half").resident);
    manager.release("y", "n");
    clock.advance(1s);
    CHECK(manager.get<ct::bf16>("x", "m")->view()(2000) == ct::bf16(3.0f));
    CHECK(manager.get<ct::bf16>("half", "m")->view()(2000) == ct::bf16(3.0f));
    CHECK(manager.forget("x"));
    CHECK(manager.get<ct::bf16>("half", "m")->view()(7) == ct::bf16(3.0f));
    CHECK(manager.forget("half"));
    manager.forget("y");
    CHECK(manager.stats().true_bytes == 0);
    CHECK(spill->count() == 0);
  }
  SUBCASE("unused forms are dropped, not spilled, and made again") {
    { const auto form = manager.get<ct::bf16>("x", "m"); }
    clock.advance(1s);
    const auto x = manager.get<float>("x", "m");
    manager.register_tensor("y", filled(4, 2), {.producer = "n"});
    CHECK(spill->saves == 0);
    CHECK(manager.stats().true_bytes == 4 * page_bytes);
    CHECK(manager.stats().total_tensors == 2);
  }
  CHECK(spill->wrong == 0);
}

TEST_CASE_FIXTURE(Forms, "set_form: what a model takes, as a view where it can be one") {
  manager.register_tensor("x", matrix(), {.producer = "bert"});
  SUBCASE("a slice costs nothing") {
    manager.set_form("x", "small", {.width = 2, .fit = ct::Fit::slice});
    const auto lease = manager.get<float>("x", "small");
    CHECK(lease->shape() == ct::Shape{2, 2});
    CHECK(lease->view()(0, 1) == -1.25f);
    CHECK(bytes() == 64);
    CHECK(manager.get<float>("x", "other")->shape() == ct::Shape{2, 4});
    CHECK(manager.tensor_memory_usage().at("x (4 → 2 wide by slice)").extra_bytes == 0);
    CHECK(manager.get<ct::bf16>("x", "small")->shape() == ct::Shape{2, 2});
    CHECK(bytes() == 128);
  }
  SUBCASE("zeros behind") {
    manager.set_form("x", "wide", {.width = 6, .fit = ct::Fit::slice_or_pad});
    const auto lease = manager.get<float>("x", "wide");
    CHECK(lease->shape() == ct::Shape{2, 6});
    CHECK(lease->view()(1, 3) == 4.0f);
    CHECK(lease->view()(1, 4) == 0.0f);
    CHECK(lease->view()(0, 5) == 0.0f);
    const auto q = manager.get<std::int8_t>("x", "wide").quantized();
    CHECK(q.values.shape() == ct::Shape{2, 6});
    CHECK(int{q.values.view()(0, 5)} == 0);
  }
  SUBCASE("axes, and row-major") {
    manager.set_form("x", "turned", {.axes = {1, 0}});
    const auto lease = manager.get<float>("x", "turned");
    CHECK(lease->shape() == ct::Shape{4, 2});
    CHECK(lease->view()(3, 0) == -254.0f);
    CHECK(bytes() == 64);
    manager.set_form("x", "copied", {.axes = {1, 0}, .row_major = true});
    const auto copied = manager.get<float>("x", "copied");
    CHECK(copied->is_contiguous());
    CHECK(copied->view()(3, 0) == -254.0f);
    CHECK(bytes() == 128);
    manager.set_form("x", "as it is", {.width = 4, .row_major = true});
    CHECK(manager.get<float>("x", "as it is").name() == "x");
  }
  SUBCASE("a projection, shared by who has the same") {
    std::size_t calls = 0;
    const ct::Projection sums(4, 1, [&calls](const ct::SharedTensor<float, ct::Borrowed>& rows) {
      ++calls;
      CHECK_THROWS_AS(ct::SharedTensor(rows).mutable_view(), ct::ReadOnly);
      auto out = ct::empty<float>({rows.shape(0), 1});
      for (std::size_t i = 0; i < rows.shape(0); ++i) out.mutable_view()(i, 0) = rows.view()(i, 0) + rows.view()(i, 1) + rows.view()(i, 2) + rows.view()(i, 3);
      return out;
    });
    manager.set_form("x", "a", {.projection = sums});
    manager.set_form("x", "b", {.projection = sums});
    const auto a = manager.get<float>("x", "a"), b = manager.get<float>("x", "b");
    CHECK(a->view()(1, 0) == 7.0f);
    CHECK(a->block() == b->block());
    CHECK(calls == 1);
    CHECK(bytes() == 128);
    CHECK(manager.get<ct::f16>("x", "a")->view()(0, 0) == ct::f16(-127.75f));
    manager.set_form("x", "c", {.projection = ct::Projection(4, 3, [](const auto&) { return ct::zeros<float>({7}); })});
    CHECK(has(message_of<ct::ShapeError>([&] { static_cast<void>(manager.get<float>("x", "c")); }), "but gave [7]"));
    CHECK(bytes() == 192);  // nothing stayed of that
  }
  SUBCASE("changed, cleared, and gone with the model") {
    const auto whole = manager.get<float>("x", "m");  // this pair is known without a form
    manager.set_form("x", "m", {.width = 2, .fit = ct::Fit::slice});
    CHECK(whole->shape() == ct::Shape{2, 4});
    CHECK(manager.get<float>("x", "m")->shape() == ct::Shape{2, 2});
    manager.set_form("x", "m", {.width = 3, .fit = ct::Fit::slice});
    CHECK(manager.get<float>("x", "m")->shape() == ct::Shape{2, 3});
    CHECK(manager.create_view<float>("x", "v", {0, 0}, {1, 1}, "m")->size() == 1);
    SUBCASE("cleared") { manager.clear_form("x", "m"); }
    SUBCASE("released") { manager.release_model("m"); }
    CHECK(manager.get<float>("x", "m")->shape() == ct::Shape{2, 4});
  }
  SUBCASE("it outlives versions, and may come first") {
    manager.set_form("later", "m", {.width = 2, .fit = ct::Fit::slice});
    manager.register_tensor("later", matrix(), {.producer = "m"});
    CHECK(manager.get<float>("later", "m")->shape() == ct::Shape{2, 2});
    {
      auto write = manager.write<float>("later", "m");
      CHECK(write.in_place());  // a view that nobody holds is no reader
      write.view()(0, 1) = 8;
    }
    CHECK(manager.get<float>("later", "m")->view()(0, 1) == 8.0f);
    const auto held = manager.get<float>("later", "m");
    {
      auto write = manager.write<float>("later", "m");
      CHECK_FALSE(write.in_place());
      write.view()(0, 1) = 9;
    }
    CHECK(held->view()(0, 1) == 8.0f);
    CHECK(manager.get<float>("later", "m")->view()(0, 1) == 9.0f);
  }
  SUBCASE("what does not fit") {
    manager.set_form("x", "m", {.width = 2});
    CHECK(has(message_of<ct::ShapeError>([&] { static_cast<void>(manager.get<float>("x", "m")); }), "allow it to be sliced"));
    manager.set_form("x", "m", {.width = 6, .fit = ct::Fit::slice});
    CHECK(has(message_of<ct::ShapeError>([&] { static_cast<void>(manager.get<float>("x", "m")); }), "padded"));
    manager.set_form("x", "m", {.axes = {0, 0}});
    CHECK(has(message_of<ct::ShapeError>([&] { static_cast<void>(manager.get<float>("x", "m")); }), "order 0, 0"));
    CHECK(has(message_of<ct::TypeError>([&] { static_cast<void>(manager.get<std::int32_t>("x", "m")); }), "f32 elements do not become i32"));
    CHECK_THROWS_AS(manager.set_form("", "m", {}), ct::InvalidArgument);
    CHECK_THROWS_AS(manager.set_form("x", "", {}), ct::InvalidArgument);
  }
  for (const char* model : {"small", "wide", "turned", "copied", "a", "b", "c", "m", "other", "bert", "as it is"}) manager.release_model(model);
}

TEST_CASE_FIXTURE(Forms, "share() says of each consumer how it gets the tensor") {
  manager.register_tensor("text_embedding", matrix(), {.producer = "bert"});
  manager.set_form("text_embedding", "distilbert", {.dtype = ct::DType::f16, .width = 2, .fit = ct::Fit::slice});
  manager.set_form("text_embedding", "half", {.width = 2, .fit = ct::Fit::slice});
  manager.set_form("text_embedding", "other", {.width = 3});
  manager.set_form("text_embedding", "ids", {.dtype = ct::DType::i64});
  const auto good = manager.share("text_embedding", "bert", {"t5", "distilbert", "half"});
  CHECK(good);
  CHECK(good == ct::ShareStatus::adapted);
  CHECK(good.granted == 3);
  CHECK(good.consumers.at("t5").status == ct::ShareStatus::success);
  CHECK(good.consumers.at("distilbert").status == ct::ShareStatus::adapted);
  CHECK(good.consumers.at("distilbert").how == "4 → 2 wide by slice, f32 → f16");
  CHECK(good.consumers.at("distilbert").bytes == 8);
  CHECK(good.consumers.at("half").bytes == 0);
  CHECK(manager.get<ct::f16>("text_embedding", "distilbert")->shape() == ct::Shape{2, 2});
  CHECK(manager.share("text_embedding", "bert", {"distilbert"}).consumers.at("distilbert").bytes == 0);  // it is there
  const auto bad = manager.share("text_embedding", "bert", {"t5", "other", "ids"});
  CHECK_FALSE(bad);
  CHECK(bad == ct::ShareStatus::incompatible);
  CHECK(bad.granted == 0);
  CHECK(has(bad.consumers.at("other").how, "4 wide"));
  CHECK(has(bad.consumers.at("ids").how, "do not become i64"));
  CHECK(manager.tensor_memory_usage().at("text_embedding").grants == std::vector<std::string>{"distilbert", "half", "t5"});
}

TEST_CASE_FIXTURE(Forms, "equal tensors under two names have one form") {
  const auto weights = ct::full<float>({64 * 1024}, 2.0f), same = ct::full<float>({64 * 1024}, 2.0f);
  manager.register_tensor("a/w", weights, {.producer = "a"});
  manager.register_tensor("b/w", same, {.producer = "b"});
  CHECK(manager.stats().deduplicated == 1);
  CHECK(manager.get<ct::bf16>("a/w", "a")->block() == manager.get<ct::bf16>("b/w", "b")->block());
  CHECK(derived() == 1);
  { manager.write<float>("a/w", "a").view()(0) = 5; }  // b keeps its bytes, and their form
  CHECK(manager.get<ct::bf16>("b/w", "b")->view()(0) == ct::bf16(2.0f));
  CHECK(derived() == 1);
  CHECK(manager.get<ct::bf16>("a/w", "a")->view()(0) == ct::bf16(5.0f));
}

TEST_CASE("many threads ask for one form: it is made once, and never torn or stale") {
  constexpr std::size_t count = 8, elements = 4096;
  ct::TensorSharingManager manager{{.spill = std::make_shared<MemorySpill>(), .record_events = true}};
  manager.register_tensor("x", ct::full<float>({elements}, 1.0f));
  std::atomic<std::size_t> wrong{0};
  std::atomic<float> written{1};
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < count; ++thread)
    threads.emplace_back([&, thread] {
      const std::string model = "m" + std::to_string(thread % 3);
      for (int round = 0; round < 100; ++round) {
        if (thread == 0) {
          auto write = manager.write<float>("x", model);
          const float next = write.view()(0) + 1;
          for (float& element : write.view().span()) element = next;
          write.commit();
          written = next;
        } else {
          const float at_least = written;
          const auto lease = manager.get<ct::f16>("x", model);
          const ct::f16 first = lease->view()(0);
          for (std::size_t i = 0; i < elements; i += 61) if (!(lease->view()(i) == first)) ++wrong;
          if (static_cast<float>(first) < at_least) ++wrong;
        }
        if (round % 16 == 0) manager.optimize_memory(ct::MemoryMode::memory);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(manager.get<ct::f16>("x", "last")->view()(0) == ct::f16(101.0f));
}
