import { type AddressBookNeeds, addAddress, changeAddress, removeAddress } from './address-book.ts'
import { type AskForLinkNeeds, askEmailChange, forgotPassword, resendVerification } from './ask-for-link.ts'
import { type AuthenticateNeeds, authenticate } from './authenticate.ts'
import { type ChangeAccountNeeds, changeAccount } from './change-account.ts'
import { type ChangeMeNeeds, changeMe } from './change-me.ts'
import { type ChangePasswordNeeds, changePassword, checkNewPassword } from './change-password.ts'
import { type ChangeRoleNeeds, changeRole } from './change-role.ts'
import { type CheckLinkHolderNeeds, checkLinkHolder } from './check-link-holder.ts'
import { type CheckPasswordNeeds, checkPassword } from './check-password.ts'
import { type ConfirmTotpNeeds, confirmTotp } from './confirm-totp.ts'
import { type CreateOwnerNeeds, createOwner } from './create-owner.ts'
import { type CreateStaffNeeds, createStaff } from './create-staff.ts'
import { type EndSessionsNeeds, endAllMySessions, endSessionOfMine } from './end-sessions.ts'
import { type ErasePersonNeeds, erasePerson, repeatErasure } from './erase-person.ts'
import { type ExportPersonNeeds, exportPerson } from './export-person.ts'
import { type HashNewPasswordNeeds, hashNewPassword } from './hash-new-password.ts'
import { type ImportUsersNeeds, importUsers } from './import-users.ts'
import { type IssueApiKeyNeeds, issueApiKey } from './issue-api-key.ts'
import { type OpenSessionNeeds, openSession } from './log-in.ts'
import { type LogOutNeeds, logOut } from './log-out.ts'
import { type MakeRoleNeeds, makeRole } from './make-role.ts'
import { type ReauthenticateNeeds, reauthenticate } from './reauthenticate.ts'
import { changeEmail, hashForLink, type RedeemLinkNeeds, resetPassword, verifyEmail } from './redeem-link.ts'
import { type RefreshSessionNeeds, refreshSession } from './refresh-session.ts'
import { type RegisterNeeds, register } from './register.ts'
import { type RemoveRoleNeeds, removeRole } from './remove-role.ts'
import { type RemoveTotpNeeds, removeTotp } from './remove-totp.ts'
import { type RenewRecoveryCodesNeeds, renewRecoveryCodes } from './renew-recovery-codes.ts'
import { type RevokeApiKeyNeeds, revokeApiKey } from './revoke-api-key.ts'
import { type RotateApiKeyNeeds, rotateApiKey } from './rotate-api-key.ts'
import { type SendLetterNeeds, sendLetter } from './send-letter.ts'
import { type StartTotpNeeds, startTotp } from './start-totp.ts'

type Needs = AddressBookNeeds &
  AskForLinkNeeds &
  AuthenticateNeeds &
  ChangeAccountNeeds &
  ChangeMeNeeds &
  ChangeRoleNeeds &
  ChangePasswordNeeds &
  CheckLinkHolderNeeds &
  CheckPasswordNeeds &
  ConfirmTotpNeeds &
  CreateOwnerNeeds &
  CreateStaffNeeds &
  EndSessionsNeeds &
  ErasePersonNeeds &
  ExportPersonNeeds &
  HashNewPasswordNeeds &
  IssueApiKeyNeeds &
  ImportUsersNeeds &
  LogOutNeeds &
  MakeRoleNeeds &
  OpenSessionNeeds &
  ReauthenticateNeeds &
  RedeemLinkNeeds &
  RefreshSessionNeeds &
  RegisterNeeds &
  RemoveTotpNeeds &
  RenewRecoveryCodesNeeds &
  RevokeApiKeyNeeds &
  RotateApiKeyNeeds &
  SendLetterNeeds &
  StartTotpNeeds &
  RemoveRoleNeeds

/** Everything this context can be asked to do. */
export const userUseCases = (needs: Needs) => ({
  authenticate: authenticate(needs),
  hashNewPassword: hashNewPassword(needs),
  register: register(needs),
  checkPassword: checkPassword(needs),
  openSession: openSession(needs),
  reauthenticate: reauthenticate(needs),
  startTotp: startTotp(needs),
  confirmTotp: confirmTotp(needs),
  renewRecoveryCodes: renewRecoveryCodes(needs),
  removeTotp: removeTotp(needs),
  refreshSession: refreshSession(needs),
  logOut: logOut(needs),
  endSessionOfMine: endSessionOfMine(needs),
  endAllMySessions: endAllMySessions(needs),
  resendVerification: resendVerification(needs),
  checkLinkHolder: checkLinkHolder(needs),
  verifyEmail: verifyEmail(needs),
  forgotPassword: forgotPassword(needs),
  hashForLink: hashForLink(needs),
  resetPassword: resetPassword(needs),
  checkNewPassword: checkNewPassword(needs),
  changePassword: changePassword(needs),
  askEmailChange: askEmailChange(needs),
  changeEmail: changeEmail(needs),
  sendLetter: sendLetter(needs),
  addAddress: addAddress(needs),
  changeAddress: changeAddress(needs),
  removeAddress: removeAddress(needs),
  changeMe: changeMe(needs),
  createStaff: createStaff(needs),
  changeAccount: changeAccount(needs),
  createOwner: createOwner(needs),
  importUsers: importUsers(needs),
  exportPerson: exportPerson(needs),
  erasePerson: erasePerson(needs),
  repeatErasure: repeatErasure(needs),
  makeRole: makeRole(needs),
  changeRole: changeRole(needs),
  removeRole: removeRole(needs),
  issueApiKey: issueApiKey(needs),
  rotateApiKey: rotateApiKey(needs),
  revokeApiKey: revokeApiKey(needs),
})
export type UserUseCases = ReturnType<typeof userUseCases>
