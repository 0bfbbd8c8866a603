// Registry, continued: forms. What a tensor becomes for models that take it otherwise: made once, counted once, gone with its source's bytes.
#ifndef COTENANT_SHARE_FORMS_HPP
#define COTENANT_SHARE_FORMS_HPP
#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/share/acquire.hpp"
#include "cotenant/share/form_plan.hpp"

// A form is an entry that hangs on the record of its source's block instead of having a name. It belongs to those bytes, not to a
// name: equal tensors under several names share it, and a write, which gives the name other bytes or takes a block's forms off first,
// can never leave a stale one behind. A view lies on the source's block; any other form has a block of its own in the budget, and
// leaves memory for good when room is needed: it is made again.
namespace cotenant::detail {

inline void Registry::set_form(std::string_view name, std::string_view model, std::optional<TensorForm> form) {
  std::shared_ptr<const TensorForm> wanted = form ? std::make_shared<const TensorForm>(std::move(*form)) : nullptr;
  std::shared_ptr<const TensorForm> before;  // may hold a user's projection: destroyed after the lock
  const std::lock_guard lock(mutex_);
  if (wanted) {
    before = std::exchange(wanted_[std::string(name)][std::string(model)], wanted);
    model_of(model)->active = true;
  } else if (const auto forms = wanted_.find(name); forms != wanted_.end()) {
    if (const auto found = forms->second.find(model); found != forms->second.end()) {
      before = std::move(found->second);
      forms->second.erase(found);
    }
    if (forms->second.empty()) wanted_.erase(forms);
  }
  tenancies_.with(TenancyKey(name, model), [&](Tenancy& tenancy) { return tenancy.set_has_form(wanted != nullptr), true; });
}

// Takes the forms off a block whose bytes go or change. Those that somebody still looks at stay until the last lease has ended.
inline void Registry::drop_forms(BlockRecord& record, TimePoint now, Doomed& doomed, bool only_unused_views) {
  std::vector<FormSlot> kept, forms = std::exchange(record.forms, {});
  for (FormSlot& form : forms) {
    const std::shared_ptr<Entry> entry = form.entry;
    doomed.others.push_back(form.wanted);
    if (only_unused_views && (!entry || entry->block != entry->made_of || !close(*entry))) {
      kept.push_back(std::move(form));
      continue;
    }
    if (!entry) continue;  // whoever makes it finds its place gone
    // A view's handle goes at once, because a writer counts handles: its source keeps the bytes, so that no user code runs.
    const bool is_view = std::exchange(entry->made_of, nullptr) == entry->block;
    Doomed here(spill_.get());
    Doomed& let_go = is_view ? here : doomed;
    let_go.entries.push_back(entry);
    if (close(*entry)) {
      while (!entry->tenancies.empty()) unlist(*entry->tenancies.back(), let_go);
      take_off(*entry, now, let_go);
    } else {
      entry->past = true;
      past_.push_back(entry);
    }
  }
  for (FormSlot& form : kept) record.forms.push_back(std::move(form));
}

// Takes out a form on a block of its own, which is closed.
inline void Registry::remove_form(Entry& form, TimePoint now, Doomed& doomed) {
  std::vector<FormSlot>& forms = blocks_.record(form.made_of).forms;
  const auto slot = std::find_if(forms.begin(), forms.end(), [&](const FormSlot& each) { return each.entry.get() == &form; });
  doomed.entries.push_back(slot->entry);
  doomed.others.push_back(slot->wanted);
  forms.erase(slot);
  while (!form.tenancies.empty()) unlist(*form.tenancies.back(), doomed);
  take_off(form, now, doomed);
}

inline Registry::Found Registry::acquire_form(LeaseNode& node, std::string_view name, std::string_view model, const FormRequest& request) {
  const TimePoint now = recorder_->clock.now();
  Doomed doomed(spill_.get());
  std::shared_ptr<const Entry> planned;  // what `plan` is for
  std::shared_ptr<const TensorForm> wanted;
  FormPlan plan;
  Lock lock(mutex_);
  for (;;) {
    const auto found = names_.find(name);
    if (found == names_.end()) {
      misses_.fetch_add(1, std::memory_order_relaxed);
      return Found::no;
    }
    const std::shared_ptr<Entry> entry = found->second;
    doomed.entries.push_back(entry);
    Block* const block = entry->block;
    BlockRecord& record = blocks_.record(block);
    if (record.residence == Residence::written) {  // its forms are gone, and new ones would be of elements in between
      static_cast<void>(make_resident(lock, *entry, now, doomed));
      continue;
    }
    const std::shared_ptr<const TensorForm> form = form_of(name, model);
    const auto of_this = [&](const FormSlot& slot) {
      return slot.source_dtype == entry->dtype && slot.source == entry->layout && slot.dtype == request.dtype &&
          slot.storage_identity == request.storage_identity;
    };
    auto slot = std::find_if(record.forms.begin(), record.forms.end(), [&](const FormSlot& each) {
      return of_this(each) && each.wanted == form && each.ranges == request.ranges;
    });
    if (slot == record.forms.end()) {
      if (planned != entry || wanted != form) {
        doomed.others.insert(doomed.others.end(), {wanted, form});
        planned = entry, wanted = form;
        lock.unlock();
        plan = plan_form({entry->dtype, entry->layout, entry->parameters.get()}, form.get(), request.dtype, request.ranges);
        if (!plan.refusal.empty()) {
          const std::string message = "'" + std::string(model) + "' cannot have '" + entry->name + "' (" + describe(*entry) + ") as " +
                                      std::string(to_string(request.dtype)) + ": " + plan.refusal;
          if (plan.wrong_type) raise<TypeError>(message);
          raise<ShapeError>(message);
        }
        lock.lock();
        continue;
      }
      slot = std::find_if(record.forms.begin(), record.forms.end(), [&](const FormSlot& each) { return of_this(each) && each.key == plan.key; });
    }
    const bool is_new = slot == record.forms.end();
    const bool is_view = is_new ? plan.is_view : slot->entry && slot->entry->block == block;
    if (is_view || is_new) {  // else the source may be away
      if (is_view && block->storage_identity() != request.storage_identity) return Found::other_type;
      if (!is_view && (request.room == nullptr || !block->host_accessible())) return Found::other_type;
      if (make_resident(lock, *entry, now, doomed) == Step::again) continue;
    }
    if (is_new && plan.how.empty()) {  // nothing to do
      if (tenancy_of(entry, model).attach(node, true, now, true)) return Found::yes;
      continue;
    }
    if (!is_new) {
      if (!slot->entry) {
        changed_.wait(lock);
        continue;
      }
      const std::shared_ptr<Entry> made = slot->entry;
      // Somebody may have registered a form under a name, and so it may be away.
      if (make_resident(lock, *made, now, doomed) == Step::again) {
        doomed.entries.push_back(made);
        continue;
      }
      if (tenancy_of(made, model).attach(node, true, now)) return Found::yes;
      doomed.entries.push_back(made);
      continue;
    }

    FormSlot fresh{entry->dtype, entry->layout, request.dtype, request.storage_identity, request.ranges, form, plan.key};
    const std::string form_name = entry->name + " (" + plan.how + ")";
    const auto list = [&](const std::shared_ptr<Entry>& made) {
      made->source = entry->name;
      made->form = plan.how;
      made->made_of = block;
      made->priority = entry->priority;
      made->fresh_since = now;
      made->order = next_order_++;
      list_on_block(*made, now);
      made->block->publish();
    };
    if (is_view) {
      fresh.entry = entry->with(form_name, plan.layout);
      list(fresh.entry);
      record.forms.push_back(std::move(fresh));
      recorder_->note(EventKind::derive, form_name, model, 0);
      continue;
    }
    // A copy. Its room is counted while it is made, and its source stays.
    const BlockRef source(block);
    const std::size_t taken = request.room->taken_for(plan.bytes);
    if (make_room(lock, request.room->storage, taken, form_name, now, doomed) == Step::again) continue;
    blocks_.count(request.room->storage, taken);
    record.forms.push_back(std::move(fresh));
    ++in_transit_;
    lock.unlock();
    doomed.artefacts.clear();
    const auto begin = EventLog::Clock::now();
    std::shared_ptr<Entry> made;
    std::exception_ptr failure;
    attempt(failure, [&] { made = request.entry(form_name, make_form(plan, {entry->dtype, entry->layout, entry->parameters.get()}, source, *request.room)); });
    const auto took = EventLog::Clock::now() - begin;
    lock.lock();
    --in_transit_;
    blocks_.uncount(request.room->storage, taken);
    changed_.notify_all();
    if (made) doomed.entries.push_back(made);
    doomed.holds.push_back(source);
    // Meanwhile the source may have been forgotten, and its record with it.
    if (!blocks_.contains(block)) {
      if (!failure) continue;
    } else {
      std::vector<FormSlot>& forms = blocks_.record(block).forms;
      const auto place = std::find_if(forms.begin(), forms.end(), [&](const FormSlot& each) { return !each.entry && of_this(each) && each.key == plan.key; });
      if (failure && place != forms.end()) {
        doomed.others.push_back(place->wanted);
        forms.erase(place);
      }
      if (!failure && place != forms.end()) {
        place->entry = made;
        list(made);
        recorder_->note(EventKind::derive, form_name, model, made->block->bytes(), took);
      }
    }
    if (failure) {
      lock.unlock();
      throw_again(failure);
    }
  }
}

inline ShareResult Registry::share(std::string_view name, std::string_view producer, const std::vector<std::string>& consumers) {
  if (name.empty() || producer.empty() || std::any_of(consumers.begin(), consumers.end(), [](const std::string& consumer) { return consumer.empty(); }))
    return {ShareStatus::invalid_name, 0, {}};
  const TimePoint now = recorder_->clock.now();
  std::map<std::string, std::shared_ptr<const TensorForm>> forms;
  std::shared_ptr<Entry> entry;
  std::vector<std::string> made;  // keys of the forms that are there
  {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(name);
    if (found == names_.end()) return {ShareStatus::not_found, 0, {}};
    entry = found->second;
    const auto holds = [&](const Tenancy* tenancy) { return tenancy->model()->name == producer && tenancy->counts().held > 0; };
    const std::vector<FormSlot>& slots = blocks_.record(entry->block).forms;
    const auto holds_form = [&](const FormSlot& form) { return form.entry && std::any_of(form.entry->tenancies.begin(), form.entry->tenancies.end(), holds); };
    if (!entry->producer.empty() && entry->producer != producer && std::none_of(entry->tenancies.begin(), entry->tenancies.end(), holds) &&
        std::none_of(slots.begin(), slots.end(), holds_form))
      return {ShareStatus::not_allowed, 0, {}};
    for (const std::string& consumer : consumers) forms[consumer] = form_of(name, consumer);
    for (const FormSlot& form : slots) made.push_back(form.key);
  }
  ShareResult result;
  for (const auto& [consumer, form] : forms) {
    const FormPlan plan = plan_form({entry->dtype, entry->layout, entry->parameters.get()}, form.get(), form && form->dtype ? *form->dtype : entry->dtype);
    ConsumerShare& share = result.consumers[consumer];
    share.status = !plan.refusal.empty() ? ShareStatus::incompatible : plan.how.empty() ? ShareStatus::success : ShareStatus::adapted;
    share.how = plan.refusal.empty() ? plan.how : plan.refusal;
    share.bytes = plan.refusal.empty() && std::find(made.begin(), made.end(), plan.key) == made.end() ? plan.bytes : 0;
    if (share.status == ShareStatus::incompatible || (share.status == ShareStatus::adapted && result.status == ShareStatus::success))
      result.status = share.status;
  }
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(name);
  if (found == names_.end()) return {ShareStatus::not_found, 0, {}};
  model_of(producer)->active = true;
  for (const auto& [consumer, share] : result.consumers) {
    if (share.status != ShareStatus::incompatible && found->second->grants.insert(consumer).second) ++result.granted;
    model_of(consumer)->active = true;
  }
  if (!consumers.empty()) found->second->fresh_since = std::max(found->second->fresh_since, now);
  return result;
}

}  // namespace cotenant::detail

#endif
