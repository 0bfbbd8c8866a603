// TensorSharingManager: every method, its counts, its errors and the lifetimes around it.
#include "cotenant/share/manager.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace ct = cotenant;
using namespace cotenant::literals;
using namespace std::chrono_literals;

namespace {

// A clock that stands still until it is told.
struct FakeClock {
  std::shared_ptr<ct::TimePoint> time = std::make_shared<ct::TimePoint>(ct::TimePoint() + 1h);
  ct::TimePoint operator()() const { return *time; }
  void advance(std::chrono::steady_clock::duration by) { *time += by; }
};

// Runs f and returns the message of the error of type E that it throws.
template <class E, class F> std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    FAIL("another error was thrown: " << error.what());
  }
  FAIL("no error was thrown");
  return {};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// 64-byte blocks: 16 floats.
ct::SharedTensor<float> ramp(std::size_t count = 16) {
  auto tensor = ct::empty<float>({count});
  for (std::size_t i = 0; i < count; ++i) tensor.mutable_view()(i) = static_cast<float>(i);
  return tensor;
}

}  // namespace

TEST_CASE("literals and sizes for people") {
  CHECK(3_KiB == 3072);
  CHECK(2_MiB == 2 * 1024 * 1024);
  CHECK(2_GiB == std::size_t{2} << 30);
  static_assert(1_GiB == 1024_MiB);
  CHECK(ct::format_bytes(0) == "0 B");
  CHECK(ct::format_bytes(1023) == "1023 B");
  CHECK(ct::format_bytes(1536) == "1.5 KiB");
  CHECK(ct::format_bytes(1_MiB - 1) == "1.0 MiB");
  CHECK(ct::format_bytes(std::size_t(-1)) == "16.0 EiB");
}

TEST_CASE("a registered tensor is leased by name and cannot be written any more") {
  ct::TensorSharingManager manager{{.max_memory = 1_MiB}};
  const auto original = ramp();
  auto registered = manager.register_tensor("embedding", original, {.producer = "bert"});
  CHECK(registered.block() == original.block());
  CHECK(message_of<ct::ReadOnly>([&] { registered.mutable_view(); }).size() > 0);
  {
    ct::Lease lease = manager.get<float>("embedding", "t5");
    static_assert(std::is_same_v<decltype(lease), ct::Lease<float, ct::Heap>>);
    static_assert(!std::is_copy_constructible_v<ct::Lease<float>> && std::is_nothrow_move_constructible_v<ct::Lease<float>>);
    CHECK(lease);
    CHECK(lease.held());
    CHECK(lease->shape() == ct::Shape{16});
    CHECK((*lease).view()(3) == 3.0f);
    CHECK(as_tensor(lease).block() == original.block());
    CHECK(lease.name() == "embedding");
    CHECK(lease.model() == "t5");
    CHECK(manager.tensor_memory_usage().at("embedding").holders == std::map<std::string, std::size_t>{{"bert", 1}, {"t5", 1}});
  }
  CHECK(manager.tensor_memory_usage().at("embedding").leases == 1);
  const auto usage = manager.tensor_memory_usage().at("embedding");
  CHECK(usage.producer == "bert");
  CHECK(usage.dtype == ct::DType::f32);
  CHECK(usage.storage == "heap");
  CHECK(usage.bytes == 64);
  CHECK(usage.references == 3);  // original, registered, and the manager's own
}

TEST_CASE("registering an existing name") {
  ct::TensorSharingManager manager;
  const auto first = manager.register_tensor("x", ramp(), {.producer = "a"});
  SUBCASE("with the same shape and type returns the tensor that is there") {
    const auto again = manager.register_tensor("x", ct::zeros<float>({16}), {.producer = "a", .consumers = {"c"}});
    CHECK(again.block() == first.block());
    CHECK(again.view()(5) == 5.0f);
    const auto usage = manager.tensor_memory_usage().at("x");
    CHECK(usage.leases == 1);
    CHECK(usage.grants == std::vector<std::string>{"c"});
    CHECK(manager.stats().total_tensors == 1);
  }
  SUBCASE("by another producer gives that one a lease, and the first stays the producer") {
    manager.register_tensor("x", ct::zeros<float>({16}), {.producer = "b"});
    const auto usage = manager.tensor_memory_usage().at("x");
    CHECK(usage.holders == std::map<std::string, std::size_t>{{"a", 1}, {"b", 1}});
    CHECK(usage.producer == "a");
  }
  SUBCASE("with another shape, type or storage is an error") {
    const std::string shape = message_of<ct::AlreadyRegistered>([&] { manager.register_tensor("x", ct::zeros<float>({4, 4})); });
    CHECK(contains(shape, "'x'"));
    CHECK(contains(shape, "[4, 4] f32"));
    CHECK(contains(shape, "[16] f32"));
    CHECK(contains(message_of<ct::AlreadyRegistered>([&] { manager.register_tensor("x", ct::zeros<std::int32_t>({16})); }), "i32"));
    std::vector<float> memory(16);
    CHECK(contains(message_of<ct::AlreadyRegistered>([&] { manager.register_tensor("x", ct::borrow(std::span<float>(memory), {16})); }), "borrowed"));
    CHECK(manager.get<float>("x", "m")->view()(5) == 5.0f);
  }
  SUBCASE("a tensor that was not taken stays writable") {
    auto mine = ct::zeros<float>({16});
    manager.register_tensor("x", mine);
    CHECK_NOTHROW(mine.mutable_view());
  }
}

TEST_CASE("empty names and tensors are refused") {
  ct::TensorSharingManager manager;
  CHECK(contains(message_of<ct::InvalidArgument>([&] { manager.register_tensor("", ramp()); }), "name"));
  CHECK(contains(message_of<ct::InvalidArgument>([&] { manager.register_tensor("x", ct::SharedTensor<float>()); }), "empty"));
  CHECK_THROWS_AS(manager.register_tensor("x", ramp(), {.consumers = {""}}), ct::InvalidArgument);
  CHECK_FALSE(manager.contains("x"));
  manager.register_tensor("x", ramp());
  CHECK_THROWS_AS(static_cast<void>(manager.get<float>("x", "")), ct::InvalidArgument);
  CHECK_THROWS_AS(static_cast<void>(manager.try_get<float>("x", "")), ct::InvalidArgument);
  CHECK_THROWS_AS(static_cast<void>(manager.create_view<float>("x", "", {0}, {1}, "m")), ct::InvalidArgument);
  CHECK_THROWS_AS(static_cast<void>(manager.create_view<float>("x", "y", {0}, {1}, "")), ct::InvalidArgument);
  CHECK_THROWS_AS(manager.register_model(""), ct::InvalidArgument);
}

TEST_CASE("get counts hits and misses, and says what there is") {
  ct::TensorSharingManager manager;
  manager.register_tensor("text_embedding", ramp());
  const std::string missing = message_of<ct::NotFound>([&] { static_cast<void>(manager.get<float>("text_embeding", "m")); });
  CHECK(contains(missing, "'text_embeding'"));
  CHECK(contains(missing, "Did you mean 'text_embedding'?"));
  CHECK_FALSE(contains(message_of<ct::NotFound>([&] { static_cast<void>(manager.get<float>("weights", "m")); }), "Did you mean"));
  CHECK_FALSE(manager.try_get<float>("nothing", "m").has_value());
  CHECK(manager.stats().misses == 3);
  CHECK(manager.stats().hits == 0);
  CHECK(manager.stats().hit_rate == 0);
  const auto lease = manager.get<float>("text_embedding", "m");
  const auto second = manager.try_get<float>("text_embedding", "m");
  REQUIRE(second.has_value());
  CHECK((*second)->view()(1) == 1.0f);
  CHECK(manager.stats().hits == 2);
  CHECK(manager.stats().hit_rate == doctest::Approx(0.4));

  const std::string type = message_of<ct::TypeError>([&] { static_cast<void>(manager.get<std::int8_t>("text_embedding", "m")); });
  CHECK(contains(type, "i8"));
  CHECK(contains(type, "f32 [16] in storage 'heap'"));
  const std::string storage = message_of<ct::TypeError>([&] { static_cast<void>(manager.get<float, ct::Borrowed>("text_embedding", "new")); });
  CHECK(contains(storage, "'borrowed'"));
  CHECK_THROWS_AS(static_cast<void>(manager.try_get<std::int8_t>("text_embedding", "m")), ct::TypeError);
  CHECK(manager.stats().hits == 2);  // neither a hit nor a miss
  CHECK(manager.stats().misses == 3);
  // Hits survive what they were counted on.
  manager.release_model("m");
  CHECK(manager.stats().hits == 2);
  manager.forget("text_embedding");
  CHECK(manager.stats().hits == 2);
}

TEST_CASE("leases are counted per tensor and model") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp(), {.producer = "a"});
  const auto held = [&](const std::string& model) {
    const auto holders = manager.tensor_memory_usage().at("x").holders;
    return holders.contains(model) ? holders.at(model) : 0;
  };
  CHECK(held("a") == 1);
  CHECK(manager.release("x", "a"));
  CHECK_FALSE(manager.release("x", "a"));
  CHECK_FALSE(manager.release("x", "stranger"));
  CHECK_FALSE(manager.release("nothing", "a"));
  CHECK(held("a") == 0);

  auto one = manager.get<float>("x", "b");
  auto two = manager.get<float>("x", "b");
  CHECK(held("b") == 2);
  CHECK(two.release());
  CHECK_FALSE(two.release());
  CHECK_FALSE(two);
  CHECK(held("b") == 1);
  CHECK(contains(message_of<ct::InvalidArgument>([&] { static_cast<void>(*two); }), "get()"));
  CHECK(manager.release("x", "b"));
  CHECK_FALSE(manager.release("x", "b"));
  CHECK_FALSE(one.held());
  CHECK(one->view()(2) == 2.0f);  // ended by name, still readable
  CHECK_FALSE(one.release());
}

TEST_CASE("a lease that was ended by name ends nobody else's") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp());
  const auto leases = [&] { return manager.tensor_memory_usage().at("x").leases; };
  SUBCASE("release") {
    std::optional old = manager.get<float>("x", "m");
    CHECK(manager.release("x", "m"));
    const auto fresh = manager.get<float>("x", "m");
    old.reset();
    CHECK(leases() == 1);
    CHECK(fresh.held());
  }
  SUBCASE("release_model") {
    std::optional old = manager.get<float>("x", "m");
    CHECK(manager.release_model("m") == 1);
    CHECK(manager.release_model("m") == 0);
    const auto fresh = manager.get<float>("x", "m");
    old.reset();
    CHECK(leases() == 1);
    CHECK(fresh.held());
  }
  SUBCASE("the oldest goes first, in any order of destruction") {
    auto a = manager.get<float>("x", "m");
    auto b = manager.get<float>("x", "m");
    CHECK(manager.release("x", "m"));
    CHECK_FALSE(a.held());
    CHECK(b.held());
    auto c = manager.get<float>("x", "m");
    CHECK(leases() == 2);
    c.release();
    CHECK(leases() == 1);
    CHECK(b.held());
    a.release();
    CHECK(leases() == 1);
    b.release();
    CHECK(leases() == 0);
  }
  SUBCASE("a producer's lease without an object goes before one with an object") {
    manager.register_tensor("x", ramp(), {.producer = "m"});
    const auto a = manager.get<float>("x", "m");
    CHECK(leases() == 2);
    CHECK(manager.release("x", "m"));
    CHECK(a.held());
  }
}

TEST_CASE("leases move and renew") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp());
  manager.register_tensor("y", ramp());
  const auto leases = [&](const char* name) { return manager.tensor_memory_usage().at(name).leases; };
  std::vector<ct::Lease<float>> many;
  for (int i = 0; i < 100; ++i) many.push_back(manager.get<float>("x", "m"));  // moves while it grows
  CHECK(leases("x") == 100);
  for (const auto& lease : many) CHECK(lease.held());
  auto moved = std::move(many[50]);
  CHECK(leases("x") == 100);
  CHECK_FALSE(many[50]);
  moved = manager.get<float>("y", "m");
  CHECK(leases("x") == 99);
  CHECK(leases("y") == 1);
  auto& self = moved;
  moved = std::move(self);
  CHECK(leases("y") == 1);
  many.clear();
  CHECK(leases("x") == 0);
  {
    auto again = moved.again();
    CHECK(again.held());
    CHECK(again->block() == moved->block());
    CHECK(leases("y") == 2);
  }
  CHECK(leases("y") == 1);
  manager.release("y", "m");
  CHECK_FALSE(moved.again());
  CHECK_FALSE(ct::Lease<float>().again());
  CHECK(leases("y") == 0);
  // A moved lease that was ended by name stays ended.
  auto ended = std::move(moved);
  CHECK(ended);
  CHECK_FALSE(ended.held());
}

TEST_CASE("views share the block, are leased by their model and add no bytes") {
  ct::TensorSharingManager manager;
  manager.register_tensor("text", ct::full<float>({1, 768}, 2.0f));
  auto half = manager.create_view<float>("text", "half", {0, 0}, {1, 384}, "distilbert");
  CHECK(half->shape() == ct::Shape{1, 384});
  CHECK(half->block() == manager.get<float>("text", "other")->block());
  auto stats = manager.stats();
  CHECK(stats.tensors.at("half").extra_bytes == 0);
  CHECK(stats.tensors.at("half").bytes == 384 * 4);
  CHECK(stats.tensors.at("half").source == "text");
  CHECK(stats.tensors.at("half").holders == std::map<std::string, std::size_t>{{"distilbert", 1}});
  CHECK(stats.tensors.at("text").extra_bytes == 3072);
  CHECK(stats.true_bytes == 3072);
  CHECK(stats.hits == 1);

  SUBCASE("the same view again is the same tensor and one more lease") {
    const auto again = manager.create_view<float>("text", "half", {0, 0}, {1, 384}, "distilbert");
    CHECK(manager.tensor_memory_usage().at("half").leases == 2);
  }
  SUBCASE("other elements under the same name are an error") {
    const std::string message = message_of<ct::AlreadyRegistered>([&] { static_cast<void>(manager.create_view<float>("text", "half", {0, 384}, {1, 384}, "m")); });
    CHECK(contains(message, "'half'"));
    CHECK(contains(message, "other elements"));
    CHECK(manager.tensor_memory_usage().at("half").leases == 1);
  }
  SUBCASE("bad requests") {
    CHECK_THROWS_AS(static_cast<void>(manager.create_view<float>("nothing", "v", {0, 0}, {1, 1}, "m")), ct::NotFound);
    CHECK_THROWS_AS(static_cast<void>(manager.create_view<std::int32_t>("text", "v", {0, 0}, {1, 1}, "m")), ct::TypeError);
    CHECK_THROWS_AS(static_cast<void>(manager.create_view<float>("text", "v", {0, 0}, {1, 769}, "m")), ct::ShapeError);
    CHECK_THROWS_AS(static_cast<void>(manager.create_view<float>("text", "v", {0}, {1}, "m")), ct::ShapeError);
    CHECK_THROWS_AS(static_cast<void>(manager.create_view<float>("text", "v", {0, std::size_t(-1)}, {1, 2}, "m")), ct::ShapeError);
    CHECK_FALSE(manager.contains("v"));
  }
  SUBCASE("a view keeps the bytes when the source's name is gone") {
    CHECK_FALSE(manager.can_be_freed("text"));  // its bytes would stay
    CHECK(manager.forget("text"));
    CHECK_FALSE(manager.contains("text"));
    CHECK(half->view()(0, 383) == 2.0f);
    CHECK(manager.stats().true_bytes == 3072);
    CHECK(manager.tensor_memory_usage().at("half").extra_bytes == 3072);
    half.release();
    CHECK(manager.can_be_freed("half"));
    CHECK(manager.optimize_memory().freed_bytes == 3072);
  }
  SUBCASE("a source keeps the bytes when the view's name is gone") {
    half.release();
    manager.pin("text");
    CHECK(manager.can_be_freed("half"));
    const auto result = manager.optimize_memory();
    CHECK(result.freed_names == std::vector<std::string>{"half"});
    CHECK(result.freed_bytes == 0);
    CHECK(manager.get<float>("text", "m")->view()(0, 767) == 2.0f);
  }
  SUBCASE("a view of a view") {
    auto quarter = manager.create_view<float>("half", "quarter", {0, 192}, {1, 192}, "tiny");
    CHECK(quarter->layout().offset == 192);
    half.release();
    CHECK(manager.optimize_memory().freed_names == std::vector<std::string>{"half"});
    CHECK(quarter->view()(0, 0) == 2.0f);
    CHECK(manager.stats().true_bytes == 3072);
  }
}

TEST_CASE("registering a slice of a registered block adds no bytes") {
  ct::TensorSharingManager manager{{.max_memory = 4096}};
  const auto whole = manager.register_tensor("whole", ct::zeros<float>({1024}));
  CHECK(manager.stats().true_bytes == 4096);
  manager.register_tensor("part", whole.slice(0, 0, 512));
  CHECK(manager.stats().true_bytes == 4096);
  CHECK(manager.tensor_memory_usage().at("part").extra_bytes == 0);
  CHECK(manager.tensor_memory_usage().at("part").bytes == 2048);
}

TEST_CASE("pins") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp(), {.pinned = true});
  CHECK(manager.tensor_memory_usage().at("x").pinned);
  CHECK_FALSE(manager.can_be_freed("x"));
  CHECK_FALSE(manager.forget("x"));
  CHECK(manager.optimize_memory().freed_tensors == 0);
  CHECK(manager.unpin("x"));
  CHECK_FALSE(manager.unpin("x"));
  CHECK(manager.can_be_freed("x"));
  CHECK(manager.pin("x"));
  CHECK(manager.pin("x"));
  CHECK_FALSE(manager.can_be_freed("x"));
  CHECK_FALSE(manager.pin("nothing"));
  CHECK_FALSE(manager.unpin("nothing"));
  CHECK_FALSE(manager.can_be_freed("nothing"));
}

TEST_CASE("a grant keeps a tensor for the grace period after the last release") {
  FakeClock clock;
  ct::TensorSharingManager manager{{.grace_period = 30s, .clock = clock}};
  manager.register_tensor("x", ramp(), {.producer = "a"});
  REQUIRE(manager.share("x", "a", {"b", "c"}));
  CHECK_FALSE(manager.can_be_freed("x"));  // a's lease
  clock.advance(100s);
  CHECK(manager.release("x", "a"));
  CHECK_FALSE(manager.can_be_freed("x"));
  clock.advance(30s - 1ns);
  CHECK_FALSE(manager.can_be_freed("x"));
  CHECK(manager.optimize_memory().freed_tensors == 0);
  SUBCASE("and then goes") {
    clock.advance(1ns);
    CHECK(manager.can_be_freed("x"));
    CHECK(manager.optimize_memory().freed_tensors == 1);
    CHECK_FALSE(manager.contains("x"));
  }
  SUBCASE("a lease starts it anew") {
    manager.get<float>("x", "b").release();
    clock.advance(29s);
    CHECK_FALSE(manager.can_be_freed("x"));
    clock.advance(1s);
    CHECK(manager.can_be_freed("x"));
  }
  SUBCASE("so does another grant") {
    CHECK(manager.share("x", "a", {"d"}).granted == 1);
    clock.advance(29s);
    CHECK_FALSE(manager.can_be_freed("x"));
    clock.advance(1s);
    CHECK(manager.can_be_freed("x"));
  }
  SUBCASE("release_model keeps the time of the last release, and withdraws the model's own grants") {
    const auto lease = manager.get<float>("x", "b");
    clock.advance(60s);
    CHECK(manager.release_model("b") == 1);
    CHECK(manager.tensor_memory_usage().at("x").grants == std::vector<std::string>{"c"});
    CHECK_FALSE(manager.can_be_freed("x"));
  }
  SUBCASE("a tensor without grants waits for nobody") {
    CHECK(manager.release_model("b") == 0);
    CHECK(manager.release_model("c") == 0);
    CHECK(manager.can_be_freed("x"));
  }
}

TEST_CASE("a grant that was never leased is fresh from the registration") {
  FakeClock clock;
  ct::TensorSharingManager manager{{.clock = clock}};
  manager.register_tensor("x", ramp(), {.consumers = {"b"}});
  clock.advance(29s);
  CHECK_FALSE(manager.can_be_freed("x"));
  clock.advance(1s);
  CHECK(manager.can_be_freed("x"));
}

TEST_CASE("share reports and never throws") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp(), {.producer = "a"});
  CHECK(manager.share("nothing", "a", {"b"}) == ct::ShareStatus::not_found);
  CHECK_FALSE(manager.share("nothing", "a", {"b"}));
  CHECK(manager.share("x", "", {"b"}) == ct::ShareStatus::invalid_name);
  CHECK(manager.share("x", "a", {"b", ""}) == ct::ShareStatus::invalid_name);
  CHECK(manager.tensor_memory_usage().at("x").grants.empty());
  CHECK(manager.share("x", "stranger", {"b"}) == ct::ShareStatus::not_allowed);
  CHECK(manager.share("x", "a", {"b", "c", "b"}).granted == 2);
  CHECK(manager.share("x", "a", {"b"}).granted == 0);
  const auto lease = manager.get<float>("x", "b");
  CHECK(manager.share("x", "b", {"d"}) == ct::ShareStatus::success);  // a holder passes it on
  CHECK(manager.tensor_memory_usage().at("x").grants == std::vector<std::string>{"b", "c", "d"});
  CHECK(manager.tensor_memory_usage().at("x").leases == 2);  // grants are not leases
  CHECK(std::string(ct::to_string(ct::ShareStatus::not_allowed)) == "not_allowed");
}

TEST_CASE("release_model ends every lease of one model and no other") {
  ct::TensorSharingManager manager;
  std::vector<ct::Lease<float>> leases;
  for (int i = 0; i < 10; ++i) {
    const std::string name = "t" + std::to_string(i);
    manager.register_tensor(name, ramp(), {.producer = "a"});
    leases.push_back(manager.get<float>(name, "a"));
    leases.push_back(manager.get<float>(name, "b"));
  }
  CHECK(manager.release_model("a") == 20);
  CHECK(manager.release_model("a") == 0);
  CHECK(manager.release_model("nobody") == 0);
  for (const auto& [name, usage] : manager.tensor_memory_usage()) CHECK(usage.holders == std::map<std::string, std::size_t>{{"b", 1}});
  CHECK(manager.model_memory_usage().contains("b"));
  CHECK_FALSE(manager.model_memory_usage().contains("a"));
  CHECK(manager.stats().total_models == 1);
}

TEST_CASE("optimize_memory frees what nothing keeps") {
  ct::TensorSharingManager manager;
  manager.register_tensor("free", ct::zeros<float>({1024}));
  manager.register_tensor("leased", ct::zeros<float>({1024}), {.producer = "a"});
  manager.register_tensor("pinned", ct::zeros<float>({1024}), {.pinned = true});
  manager.register_tensor("granted", ct::zeros<float>({1024}), {.consumers = {"b"}});
  const auto handle = manager.register_tensor("outside", ct::zeros<float>({1024}));
  CHECK(manager.can_be_freed("free"));
  CHECK_FALSE(manager.can_be_freed("outside"));  // a handle keeps the bytes: forgetting the name would free nothing
  const auto result = manager.optimize_memory();
  CHECK(result.initial_bytes == 5 * 4096);
  CHECK(result.current_bytes == 4 * 4096);
  CHECK(result.freed_bytes == 4096);
  CHECK(result.freed_tensors == 1);
  CHECK(result.freed_names == std::vector<std::string>{"free"});
  CHECK(result.percentage == doctest::Approx(20));
  CHECK(result.remaining_tensors == 4);
  CHECK(ct::heap_cache().idle_bytes() == 0);
  CHECK(manager.optimize_memory().freed_bytes == 0);
  ct::TensorSharingManager nothing;
  CHECK(nothing.optimize_memory().percentage == 0);
}

TEST_CASE("a Lease object that was ended by name still keeps the bytes") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp());
  auto lease = manager.get<float>("x", "m");
  manager.release_model("m");
  CHECK(manager.stats().total_models == 0);
  CHECK_FALSE(manager.can_be_freed("x"));
  CHECK(manager.optimize_memory().freed_tensors == 0);
  CHECK(manager.forget("x"));
  CHECK(lease->view()(7) == 7.0f);
  manager.register_tensor("x", ct::zeros<float>({16}));
  CHECK(manager.get<float>("x", "m")->view()(7) == 0.0f);
  CHECK(lease->view()(7) == 7.0f);
  lease.release();
  CHECK(manager.can_be_freed("x"));
}

TEST_CASE("leases and tensors outlive the manager") {
  ct::Lease<float> lease, ended;
  ct::SharedTensor<float> tensor;
  std::optional<ct::TensorSharingManager> manager(std::in_place);
  manager->register_tensor("x", ramp(), {.producer = "m"});
  lease = manager->get<float>("x", "m");
  ended = manager->get<float>("x", "n");
  manager->release_model("n");
  tensor = *manager->get<float>("x", "m");
  manager.reset();
  CHECK(lease->view()(9) == 9.0f);
  CHECK(lease.held());
  CHECK(lease.name() == "x");
  auto more = lease.again();
  auto moved = std::move(lease);
  CHECK(moved.release());
  CHECK_FALSE(ended.release());
  CHECK(more->view()(9) == 9.0f);
  CHECK(tensor.use_count() == 2);  // and the one that `more` keeps
  CHECK(more.release());
  CHECK(tensor.use_count() == 1);
}

TEST_CASE("the budget is never exceeded") {
  FakeClock clock;
  ct::TensorSharingManager manager{{.max_memory = 4 * 4096, .clock = clock}};
  const auto page = [] { return ct::zeros<float>({1024}); };
  manager.register_tensor("a", page(), {.producer = "m"});
  manager.register_tensor("b", page(), {.pinned = true});
  manager.register_tensor("c", page());
  clock.advance(10s);
  manager.register_tensor("d", page());
  CHECK(manager.stats().true_bytes == 4 * 4096);
  SUBCASE("what can be freed is freed first, the longest idle before the others") {
    manager.register_tensor("e", page(), {.producer = "n"});
    CHECK_FALSE(manager.contains("c"));
    CHECK(manager.contains("d"));
    CHECK(manager.stats().true_bytes == 4 * 4096);
    CHECK(manager.stats().peak_bytes == 4 * 4096);
    manager.register_tensor("f", page(), {.producer = "o"});
    const std::string message = message_of<ct::BudgetExceeded>([&] { manager.register_tensor("g", page()); });
    CHECK(contains(message, "'g'"));
    CHECK(contains(message, "16.0 KiB of 16.0 KiB"));
    CHECK(contains(message, "leased by m"));
    CHECK(contains(message, "pinned"));
    for (const char* name : {"a", "b", "e", "f"}) CHECK(manager.contains(name));
    CHECK_FALSE(manager.contains("g"));
  }
  SUBCASE("where even that is too little, nothing is lost") {
    CHECK_THROWS_AS(manager.register_tensor("big", ct::zeros<float>({3 * 1024})), ct::BudgetExceeded);
    for (const char* name : {"a", "b", "c", "d"}) CHECK(manager.contains(name));
    CHECK(manager.get<float>("c", "m").held());  // and can be leased again
    CHECK_THROWS_AS(manager.register_tensor("huge", ct::zeros<float>({100 * 1024})), ct::BudgetExceeded);
  }
  SUBCASE("a tensor that was refused is still private") {
    auto mine = ct::zeros<float>({4 * 1024});
    CHECK_THROWS_AS(manager.register_tensor("mine", mine), ct::BudgetExceeded);
    CHECK_NOTHROW(mine.mutable_view());
  }
  SUBCASE("views and existing names need no room") {
    const auto view = manager.create_view<float>("a", "half", {0}, {512}, "m");
    CHECK_NOTHROW(manager.register_tensor("a", page()));
    CHECK(manager.stats().true_bytes == 4 * 4096);
  }
  SUBCASE("the message names grants and handles") {
    manager.share("a", "m", {"x"});
    manager.release("a", "m");
    const auto handle = manager.get<float>("d", "tmp")->slice(0, 0, 1);
    const std::string message = message_of<ct::BudgetExceeded>([&] { manager.register_tensor("big", ct::zeros<float>({2 * 1024})); });
    CHECK(contains(message, "granted to 1 model and fresh"));
    CHECK(contains(message, "outside the manager"));
    CHECK(contains(message, "can be freed"));
  }
}

TEST_CASE("deleters run outside of every lock and may call the manager") {
  std::vector<float> memory(16, 1.0f);
  int deleted = 0;
  std::optional<ct::TensorSharingManager> manager(std::in_place, ct::ManagerOptions{.max_memory = 64});
  const auto deleter = [&] {
    ++deleted;
    CHECK(manager->stats().total_tensors == 0);
    CHECK_FALSE(manager->contains("x"));
    CHECK(manager->release_model("nobody") == 0);
  };
  const auto put = [&] { manager->register_tensor("x", ct::borrow(std::span<float>(memory), {16}, deleter)); };
  put();
  CHECK(manager->optimize_memory().freed_tensors == 1);
  CHECK(deleted == 1);
  put();
  CHECK(manager->forget("x"));
  CHECK(deleted == 2);
  put();
  auto lease = manager->get<float, ct::Borrowed>("x", "m");
  manager->release_model("m");
  CHECK(manager->forget("x"));
  CHECK(deleted == 2);
  lease.release();
  CHECK(deleted == 3);
  // Room made for another tensor: that one is registered before the old one's deleter runs.
  manager->register_tensor("y", ct::borrow(std::span<float>(memory), {16}, [&] {
    ++deleted;
    CHECK(manager->contains("z"));
  }));
  manager->register_tensor("z", ct::zeros<float>({16}));
  CHECK(deleted == 4);
}

TEST_CASE("bytes per model: unique, shared and proportional") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ct::zeros<float>({1024}), {.producer = "a"});
  const auto b = manager.get<float>("x", "b");
  const auto half = manager.create_view<float>("x", "half", {0}, {512}, "c");
  const auto overlap = manager.create_view<float>("x", "overlap", {256}, {512}, "c");
  manager.register_tensor("own", ct::zeros<float>({2048}), {.producer = "c"});
  const auto stats = manager.stats();
  CHECK(stats.total_tensors == 4);
  CHECK(stats.total_models == 3);
  CHECK(stats.true_bytes == 4096 + 8192);
  const auto& c = stats.models.at("c");
  CHECK(c.total_bytes == 2048 + 2048 + 8192);
  CHECK(c.unique_bytes == 8192);
  CHECK(c.shared_bytes == 3072);  // the union of both views
  CHECK(c.proportional_bytes == doctest::Approx(8192 + 1024));
  CHECK(c.leases == 3);
  CHECK(c.tensors == std::vector<std::string>{"half", "overlap", "own"});
  const auto& a = stats.models.at("a");
  CHECK(a.unique_bytes == 0);
  CHECK(a.shared_bytes == 4096);
  CHECK(a.proportional_bytes == doctest::Approx(3072.0 / 3 + 1024.0 / 2));
  CHECK(stats.saved_bytes == 4096 + 3072);  // b's copy and c's part
  CHECK(stats.separate_bytes == stats.true_bytes + stats.saved_bytes);
  CHECK(a.proportional_bytes + stats.models.at("b").proportional_bytes + c.proportional_bytes == doctest::Approx(static_cast<double>(stats.true_bytes)));
}

TEST_CASE("sharing opportunities among active models") {
  ct::TensorSharingManager manager;
  CHECK(manager.analyze_sharing_opportunities().empty());
  manager.register_model("bert-base-uncased");
  CHECK(manager.analyze_sharing_opportunities().empty());  // one model shares with nobody
  manager.register_tensor("text_embedding", ct::zeros<float>({1, 768}), {.producer = "bert-base-uncased", .consumers = {"t5-small"}});
  manager.register_model("openai/whisper-tiny");
  manager.register_model("google/vit-base-patch16-224");
  auto found = manager.analyze_sharing_opportunities();
  REQUIRE(found.size() == 1);
  CHECK(found[0].tensor_kind == "text_embedding");
  CHECK(found[0].models == std::vector<std::string>{"bert-base-uncased", "t5-small"});
  CHECK(found[0].tensors == std::vector<std::string>{"text_embedding"});
  CHECK(found[0].potential_bytes == 3072);
  const auto lease = manager.get<float>("text_embedding", "t5-small");
  CHECK(manager.analyze_sharing_opportunities()[0].potential_bytes == 0);
  manager.register_model("facebook/wav2vec2-base");
  found = manager.analyze_sharing_opportunities();
  REQUIRE(found.size() == 2);
  CHECK(found[1].tensor_kind == "audio_embedding");
  manager.add_sharing_pattern("graph_embedding", {"gnn", "vit"});
  manager.register_model("my-gnn2");
  found = manager.analyze_sharing_opportunities();
  REQUIRE(found.size() == 3);
  CHECK(found[2].models == std::vector<std::string>{"google/vit-base-patch16-224", "my-gnn2"});
  manager.release_model("my-gnn2");
  CHECK(manager.analyze_sharing_opportunities().size() == 2);
}

TEST_CASE("recommendations") {
  ct::TensorSharingManager manager;
  for (int i = 1; i <= 12; ++i) manager.register_tensor("t" + std::to_string(i), ct::zeros<float>({static_cast<std::size_t>(i) * 1024}), {.producer = "gpt2-medium"});
  const auto shared = manager.get<float>("t5", "flan-t5");
  manager.pin("t1");
  manager.release("t2", "gpt2-medium");
  const auto advice = manager.optimization_recommendations();
  REQUIRE(advice.largest_tensors.size() == 10);
  CHECK(advice.largest_tensors[0].name == "t12");
  CHECK(advice.largest_tensors[9].name == "t3");
  CHECK(advice.low_reference_tensors.size() == 10);  // all but the pinned one and the shared one
  CHECK(advice.idle_bytes == 8192);
  REQUIRE(advice.opportunities.size() == 1);
  CHECK(advice.opportunities[0].models == std::vector<std::string>{"flan-t5", "gpt2-medium"});
  CHECK(advice.potential_savings == 8192);
  CHECK(advice.advice.size() == 2);
  CHECK(contains(advice.advice[0], "8.0 KiB"));
}

TEST_CASE("the timeline follows who holds what") {
  FakeClock clock;
  ct::TensorSharingManager manager{{.clock = clock, .record_timeline = true, .timeline_events = 6}};
  CHECK(ct::TensorSharingManager().timeline().empty());
  manager.register_tensor("x", ct::zeros<float>({1024}), {.producer = "a"});
  clock.advance(1s);
  auto lease = manager.get<float>("x", "b");
  auto again = manager.get<float>("x", "b");  // no change of who holds what
  clock.advance(1s);
  auto view = manager.create_view<float>("x", "v", {0}, {512}, "b");  // inside what b holds
  clock.advance(1s);
  auto samples = manager.timeline();
  REQUIRE(samples.size() == 5);
  CHECK(samples[4].seconds == doctest::Approx(3));  // now
  CHECK(samples[4].model_bytes == samples[3].model_bytes);
  CHECK(samples[0].true_bytes == 4096);
  CHECK(samples[0].model_bytes.empty());
  CHECK(samples[1].model_bytes == std::map<std::string, std::size_t>{{"a", 4096}});
  CHECK(samples[2].seconds == doctest::Approx(1));
  CHECK(samples[3].model_bytes == std::map<std::string, std::size_t>{{"a", 4096}, {"b", 4096}});
  lease.release();
  again.release();
  manager.release_model("a");
  samples = manager.timeline();
  REQUIRE(samples.size() == 6);  // two models ended now
  CHECK(samples.back().model_bytes == std::map<std::string, std::size_t>{{"b", 2048}});
  CHECK(samples.back().seconds == doctest::Approx(3));
  view.release();
  CHECK(manager.optimize_memory().freed_bytes == 4096);
  samples = manager.timeline();
  REQUIRE(samples.size() == 7);  // one for what was forgotten, six kept
  CHECK(samples.front().true_bytes == 4096);
  CHECK(samples.front().model_bytes == std::map<std::string, std::size_t>{{"a", 4096}});
  CHECK(samples.back().true_bytes == 0);
  CHECK(samples.back().model_bytes.empty());
}
