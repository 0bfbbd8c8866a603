// TensorSharingManager: every method, its counts, its errors and the lifetimes around it.
#include "cotenant/share/manager.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "support.hpp"

namespace ct = cotenant;
using namespace cotenant::literals;
using namespace share_tests;

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
    CHECK(has(shape, "'x'"));
    CHECK(has(shape, "[4, 4] f32"));
    CHECK(has(shape, "[16] f32"));
    CHECK(has(message_of<ct::AlreadyRegistered>([&] { manager.register_tensor("x", ct::zeros<std::int32_t>({16})); }), "i32"));
    std::vector<float> memory(16);
    CHECK(has(message_of<ct::AlreadyRegistered>([&] { manager.register_tensor("x", ct::borrow(std::span<float>(memory), {16})); }), "borrowed"));
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
  CHECK(has(message_of<ct::InvalidArgument>([&] { manager.register_tensor("", ramp()); }), "name"));
  CHECK(has(message_of<ct::InvalidArgument>([&] { manager.register_tensor("x", ct::SharedTensor<float>()); }), "empty"));
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
  CHECK(has(missing, "'text_embeding'"));
  CHECK(has(missing, "Did you mean 'text_embedding'?"));
  CHECK_FALSE(has(message_of<ct::NotFound>([&] { static_cast<void>(manager.get<float>("weights", "m")); }), "Did you mean"));
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

  const std::string type = message_of<ct::TypeError>([&] { static_cast<void>(manager.get<std::int32_t>("text_embedding", "m")); });
  CHECK(has(type, "i32"));
  CHECK(has(type, "[16] f32 in heap"));
  const std::string storage = message_of<ct::TypeError>([&] { static_cast<void>(manager.get<float, ct::Borrowed>("text_embedding", "new")); });
  CHECK(has(storage, "'borrowed'"));
  CHECK_THROWS_AS(static_cast<void>(manager.try_get<std::int32_t>("text_embedding", "m")), ct::TypeError);
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
  CHECK(has(message_of<ct::InvalidArgument>([&] { static_cast<void>(*two); }), "get()"));
  CHECK(manager.release("x", "b"));
  CHECK_FALSE(manager.release("x", "b"));
  CHECK_FALSE(one.held());
  CHECK(one->view()(2) == 2.0f);  // ended by name, still readable
  CHECK_FALSE(one.release());
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
    CHECK(has(message, "'half'"));
    CHECK(has(message, "other elements"));
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

TEST_CASE("half of every row is half of the bytes, not the span from the first to the last") {
  ct::TensorSharingManager manager;
  const auto corpus = manager.register_tensor("corpus", ct::zeros<float>({100, 64}), {.producer = "encoder"});
  const auto half = manager.create_view<float>("corpus", "corpus_half", {0, 0}, {100, 32}, "half-width");
  const auto usage = manager.model_memory_usage();
  CHECK(usage.at("half-width").total_bytes == 100 * 32 * 4);
  CHECK(usage.at("half-width").shared_bytes == 100 * 32 * 4);
  CHECK(usage.at("half-width").unique_bytes == 0);
  CHECK(usage.at("encoder").shared_bytes == 100 * 32 * 4);
  CHECK(usage.at("encoder").unique_bytes == 100 * 32 * 4);
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
